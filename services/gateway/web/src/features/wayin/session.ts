/** The beginning and the end of being logged in, for every feature that has to do with it. */
import { useNavigate } from "react-router";

import { api, useLogOutMutation } from "../../api/api";
import { asProblem } from "../../api/problems";
import { proofAnswered } from "../../api/proof";
import { useAppDispatch } from "../../app/store";
import { clearTold } from "../../parts/told";

/** Only addresses of our own: a link from outside must not lead away after the login. */
export function ownPath(next: string | null): string {
  return next && /^\/(?![/\\])/.test(next) ? next : "/";
}

/** After a login: forget what was read as somebody else, and go on to where they wanted. */
export function useLoggedIn(): (next: string | null) => Promise<void> {
  const dispatch = useAppDispatch();
  const navigate = useNavigate();
  return async (next) => {
    clearTold();
    dispatch(proofAnswered(false)); // what waited for one was the login's before
    dispatch(api.util.resetApiState());
    await dispatch(api.endpoints.getMe.initiate(undefined, { forceRefetch: true }));
    await navigate(ownPath(next), { replace: true });
  };
}

/** What the login page is told of the end of the login before. */
export interface Leaving {
  stillIn: boolean;
}

/** Also when the server doesn't answer: what is on the screen goes, and it is said. */
export function useLogOut(): () => Promise<void> {
  const dispatch = useAppDispatch();
  const navigate = useNavigate();
  const [logOut] = useLogOutMutation();
  return async () => {
    const { error } = await logOut({} as Parameters<typeof logOut>[0]);
    const problem = asProblem(error);
    const state: Leaving = { stillIn: problem !== undefined && problem.status !== 401 };
    clearTold();
    await navigate("/login", { replace: true, state });
    dispatch(api.util.resetApiState());
  };
}
