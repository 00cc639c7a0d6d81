/** Where the submission stands, for the page and for the header; it outlives the page, and is gone with a reload. */
import { type PayloadAction, createSlice } from "@reduxjs/toolkit";

import type { Problem } from "../../api/problems";
import type { PatientFound, SetAside } from "./gathered";
import type { Unfinished } from "./ledger";

export type Phase =
  /** Nothing was dropped yet, or what was dropped can be sent. */
  | "gathering"
  | "looking"
  /** The server is asked where to send. */
  | "opening"
  | "sending"
  /** The network is away; it goes on by itself. */
  | "waiting"
  | "paused"
  | "completing"
  | "sent"
  /** Its outcome was looked at. */
  | "seen";

export interface Counts {
  files: number;
  bytes: number;
}
export interface UnderWay {
  number: number;
  name: string;
  sent: number;
  size: number;
}

export interface Wishes {
  priority: "routine" | "urgent";
  reference: string;
  /** None: the facility's. */
  models: string[];
}

export interface SubmitState {
  phase: Phase;
  looked: { done: number; found: number };
  patients: PatientFound[];
  setAside: SetAside[];
  /** Files of which this browser can't tell what they are. */
  untold: Counts;
  /** StudyInstanceUIDs that somebody chose not to send. */
  left: string[];
  /** Whether DICOM files that aren't slices go along. */
  others: boolean;
  wishes: Wishes;
  /** What would be sent, as things are chosen. */
  toSend: Counts;
  /** The interrupted upload that these files belong to. */
  earlier: Unfinished | null;
  unfinished: Unfinished[];
  sent: Counts;
  total: Counts;
  bytesPerSecond: number;
  underWay: UnderWay[];
  problem: Problem | null;
  uploadId: string | null;
}

const START: SubmitState = {
  phase: "gathering",
  looked: { done: 0, found: 0 },
  patients: [],
  setAside: [],
  untold: { files: 0, bytes: 0 },
  left: [],
  others: false,
  wishes: { priority: "routine", reference: "", models: [] },
  toSend: { files: 0, bytes: 0 },
  earlier: null,
  unfinished: [],
  sent: { files: 0, bytes: 0 },
  total: { files: 0, bytes: 0 },
  bytesPerSecond: 0,
  underWay: [],
  problem: null,
  uploadId: null,
};

export const submit = createSlice({
  name: "submit",
  initialState: START,
  reducers: {
    /** Any part of it, as the desk (desk.ts) sees it. */
    stood: (state, { payload }: PayloadAction<Partial<SubmitState>>) => {
      Object.assign(state, payload);
    },
    emptied: () => START,
  },
});

export const { stood, emptied } = submit.actions;

export function isOver(phase: Phase): boolean {
  return phase === "sent" || phase === "seen";
}

export function isUnderWay(phase: Phase): boolean {
  return phase === "opening" || phase === "sending" || phase === "waiting" || phase === "paused" || phase === "completing";
}
