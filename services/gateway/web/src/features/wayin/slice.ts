/** What the steps of the way in hand on to each other; in memory alone, so that a reload starts again. */
import { type PayloadAction, createSlice } from "@reduxjs/toolkit";

export const wayIn = createSlice({
  name: "wayIn",
  initialState: { enrolmentToken: null as string | null },
  reducers: {
    enrolmentBegun: (state, { payload }: PayloadAction<string>) => {
      state.enrolmentToken = payload;
    },
    enrolmentDone: (state) => {
      state.enrolmentToken = null;
    },
  },
});

export const { enrolmentBegun, enrolmentDone } = wayIn.actions;
