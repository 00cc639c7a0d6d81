/** What isn't JSON: images and files, from this page's own host; what goes wrong is thrown as a Problem. */
import { toProblem } from "./problems";

export async function bytes(path: string, signal?: AbortSignal): Promise<Response> {
  const answer = await fetch(path, { signal: signal ?? null }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw toProblem({ status: "FETCH_ERROR", error: String(error) });
  });
  if (answer.ok) return answer;
  const data: unknown = await answer.json().catch(() => undefined);
  throw toProblem({ status: answer.status, data }, { request: new Request(path), response: answer });
}
