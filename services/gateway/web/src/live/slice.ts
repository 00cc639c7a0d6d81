/** What came over the WebSocket, as actions: features listen to them and change what they show. */
import { type PayloadAction, createAction, createSlice } from "@reduxjs/toolkit";

import type { Frame, Standing } from "./connection";

export const eventTold = createAction<Frame>("live/eventTold");
export const gapFound = createAction("live/gapFound");

export const live = createSlice({
  name: "live",
  initialState: { standing: "connecting" as Standing },
  reducers: {
    standingChanged: (state, { payload }: PayloadAction<Standing>) => {
      state.standing = payload;
    },
  },
});

export const { standingChanged } = live.actions;
