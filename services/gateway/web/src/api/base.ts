/** How a page asks the API: at its own host, with the cookie that no script sees; what goes wrong becomes a Problem. */
import {
  type BaseQueryFn,
  type FetchArgs,
  type FetchBaseQueryMeta,
  createApi,
  fetchBaseQuery,
} from "@reduxjs/toolkit/query/react";

import { type Problem, toProblem } from "./problems";
import { CANCELLED, isProven } from "./proof";

/** Lists are repeated, what isn't there is left out: as FastAPI reads them. */
export function serialize(parameters: Record<string, unknown>): string {
  const pairs = Object.entries(parameters).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value])
      .filter((each) => each !== undefined && each !== null)
      .map((each) => [name, String(each)]),
  );
  return new URLSearchParams(pairs).toString();
}

const fetched = fetchBaseQuery({ baseUrl: "/", paramsSerializer: serialize });

type Query = BaseQueryFn<string | FetchArgs, unknown, Problem, object, FetchBaseQueryMeta>;

const asked: Query = async (args, api, options) => {
  const answer = await fetched(args, api, options);
  return answer.error ? { error: toProblem(answer.error, answer.meta), meta: answer.meta } : answer;
};

/** Where the API wants a proof that it is still them, the request is sent again once that is given. */
const proven: Query = async (args, api, options) => {
  const answer = await asked(args, api, options);
  if (answer.error?.type !== "step-up-required") return answer;
  return (await isProven(api.dispatch)) ? asked(args, api, options) : { error: CANCELLED, meta: answer.meta };
};

export const base = createApi({ reducerPath: "api", baseQuery: proven, endpoints: () => ({}) });
