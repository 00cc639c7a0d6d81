import { combineReducers, configureStore, isAnyOf } from "@reduxjs/toolkit";
import { setupListeners } from "@reduxjs/toolkit/query";
import { useDispatch } from "react-redux";

import { api } from "../api/api";
import { asProblem } from "../api/problems";
import { proof } from "../api/proof";
import { submit } from "../features/submit/slice";
import { wayIn } from "../features/wayin/slice";
import { live } from "../live/slice";
import { listen, listening } from "./listening";
import { type Preferences, languageChosen, preferences, savePreferences, themeChosen } from "./preferences";

const reducer = combineReducers({
  [api.reducerPath]: api.reducer,
  [preferences.name]: preferences.reducer,
  [wayIn.name]: wayIn.reducer,
  [live.name]: live.reducer,
  [proof.name]: proof.reducer,
  [submit.name]: submit.reducer,
});
export type RootState = ReturnType<typeof reducer>;

listen({
  matcher: isAnyOf(languageChosen, themeChosen),
  effect: (_, { getState }) => savePreferences(getState().preferences),
});

// Whoever is refused as unknown in the midst of work isn't logged in any more: asking who it is shows that.
listen({
  predicate: (action) =>
    "payload" in action &&
    /\/execute(Query|Mutation)\/rejected$/.test(action.type) &&
    asProblem(action.payload)?.status === 401,
  effect: ({ meta }, { dispatch }) => {
    const { endpointName } = (meta as { arg: { endpointName: string } }).arg;
    if (endpointName !== "getMe") dispatch(api.util.invalidateTags(["me"]));
  },
});

export function makeStore(known: Preferences) {
  const store = configureStore({
    reducer,
    preloadedState: { preferences: known },
    middleware: (usual) => usual().prepend(listening.middleware).concat(api.middleware),
  });
  setupListeners(store.dispatch);
  return store;
}

export type AppDispatch = ReturnType<typeof makeStore>["dispatch"];
export const useAppDispatch = useDispatch.withTypes<AppDispatch>();
