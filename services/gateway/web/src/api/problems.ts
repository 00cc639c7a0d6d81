/** What went wrong, as RFC 9457 tells it; and what a browser alone knows, in the same form. */
import type { FetchBaseQueryError, FetchBaseQueryMeta } from "@reduxjs/toolkit/query/react";

export interface Problem {
  /** The last part of the URN: `login-refused`. */
  type: string;
  status: number;
  title: string;
  detail?: string | undefined;
  /** To be told to whoever looks after the installation. */
  requestId?: string | undefined;
}

const PREFIX = "urn:codetect:problem:";

export function toProblem(error: FetchBaseQueryError, meta?: FetchBaseQueryMeta): Problem {
  const requestId = meta?.response?.headers.get("x-request-id") ?? undefined;
  if (error.status === "FETCH_ERROR" || error.status === "TIMEOUT_ERROR") {
    return { type: "offline", status: 0, title: "CoDetect can't be reached." };
  }
  const status = error.status === "PARSING_ERROR" ? error.originalStatus : Number(error.status) || 0;
  return fromBody(error.data, status, requestId) ?? { type: "unexpected", status, title: "Something went wrong.", requestId };
}

function fromBody(body: unknown, status: number, requestId?: string): Problem | undefined {
  if (typeof body !== "object" || body === null || !("type" in body) || !("title" in body)) return undefined;
  const detail = "detail" in body && typeof body.detail === "string" ? body.detail : undefined;
  return { type: String(body.type).replace(PREFIX, ""), status, title: String(body.title), detail, requestId };
}

/** Anything that was thrown or rejected, as a Problem. */
export function asProblem(error: unknown): Problem | undefined {
  if (error === undefined || error === null) return undefined;
  if (typeof error === "object" && "type" in error && "status" in error && "title" in error) return error as Problem;
  return { type: "unexpected", status: 0, title: "Something went wrong." };
}
