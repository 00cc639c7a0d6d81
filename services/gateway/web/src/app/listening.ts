/** One listener middleware for all: a feature adds what it listens to when it loads, and the store knows none of them. */
import { createListenerMiddleware } from "@reduxjs/toolkit";

import type { AppDispatch, RootState } from "./store";

export const listening = createListenerMiddleware();
export const listen = listening.startListening.withTypes<RootState, AppDispatch>();
