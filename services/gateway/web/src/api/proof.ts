/** What is dangerous takes a second factor of the last minutes (docs/adr/0046): a request that needs one waits here. */
import { type Dispatch, createSlice } from "@reduxjs/toolkit";

import { listening } from "../app/listening";
import type { Problem } from "./problems";

export const proof = createSlice({
  name: "proof",
  initialState: { wanted: false },
  reducers: {
    proofWanted: (state) => {
      state.wanted = true;
    },
    /** Whether it was given; else it was cancelled. */
    proofAnswered: {
      prepare: (given: boolean) => ({ payload: given }),
      reducer: (state) => {
        state.wanted = false;
      },
    },
  },
});

export const { proofWanted, proofAnswered } = proof.actions;

export const CANCELLED: Problem = {
  type: "step-up-cancelled",
  status: 0,
  title: "Nothing was changed: this takes your second factor, and you cancelled.",
};

/** Ask the person; requests that come meanwhile wait for the same answer. */
export function isProven(dispatch: Dispatch): Promise<boolean> {
  return new Promise((resolve) => {
    const stop = listening.startListening({
      actionCreator: proofAnswered,
      effect: ({ payload }) => {
        stop();
        resolve(payload);
      },
    });
    dispatch(proofWanted());
  });
}
