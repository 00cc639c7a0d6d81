/** Around the pages of those who are logged in; all others are sent to log in, and come back. */
import { Suspense, lazy } from "react";
import { useSelector } from "react-redux";
import { Navigate, Outlet, useLocation } from "react-router";

import { useGetMeQuery } from "../api/api";
import { asProblem } from "../api/problems";
import { Banner } from "../live/Banner";
import { useLive } from "../live/useLive";
import { ProblemNote } from "../parts/ProblemNote";
import { Skeleton } from "../parts/Skeleton";
import { Frame } from "./Frame";
import { Header } from "./Header";
import type { RootState } from "./store";
import { TermsDue } from "./TermsDue";

const StepUp = lazy(() => import("../features/stepup/StepUp"));

export function Inside() {
  const { data: me, error, refetch } = useGetMeQuery();
  const { pathname, search, hash } = useLocation();
  const proofWanted = useSelector((state: RootState) => state.proof.wanted);
  const problem = asProblem(error);
  useLive(me !== undefined && problem?.status !== 401);
  if (problem?.status === 401) {
    // Behind a #, which reaches no server: a link from a PACS may name a study.
    const next = pathname === "/" ? "" : `#${new URLSearchParams({ next: pathname + search + hash }).toString()}`;
    return <Navigate to={`/login${next}`} replace />;
  }
  return (
    <Frame header={<Header me={me} />} kind="inside">
      <Banner />
      {!me && problem && <ProblemNote problem={problem} retry={() => void refetch()} />}
      {!me && !problem && <Skeleton />}
      {me && (me.terms_due ? <TermsDue version={me.terms_due} /> : <Outlet />)}
      <Suspense fallback={null}>{proofWanted && <StepUp />}</Suspense>
    </Frame>
  );
}
