import { useEffect } from "react";

import { api } from "../api/api";
import { asProblem } from "../api/problems";
import { useAppDispatch } from "../app/store";
import { Connection } from "./connection";
import { eventTold, gapFound, standingChanged } from "./slice";

const GONE = new Set([401, 403]);

/** Hear what happens, for as long as somebody is logged in. */
export function useLive(loggedIn: boolean): void {
  const dispatch = useAppDispatch();
  useEffect(() => {
    if (!loggedIn) return undefined;
    const connection = new Connection({
      ticket: async () => {
        const answer = await dispatch(api.endpoints.createLiveTicket.initiate(undefined, { track: false }));
        if (GONE.has(asProblem(answer.error)?.status ?? 0)) throw new Error("logged out");
        return answer.data;
      },
      dial: () => new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/live`),
      onEvent: (frame) => dispatch(eventTold(frame)),
      onGap: () => dispatch(gapFound()),
      // Tickets are given for up to a minute after a login was ended elsewhere; who it is, auth knows at once.
      onTokenEnded: () => dispatch(api.util.invalidateTags(["me"])),
      onStanding: (standing) => dispatch(standingChanged(standing)),
    });
    const hurry = () => connection.hurry();
    connection.start();
    window.addEventListener("online", hurry);
    return () => {
      window.removeEventListener("online", hurry);
      connection.stop();
    };
  }, [dispatch, loggedIn]);
}
