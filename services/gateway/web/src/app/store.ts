import { combineReducers, configureStore, createListenerMiddleware, isAnyOf } from "@reduxjs/toolkit";
import { setupListeners } from "@reduxjs/toolkit/query";
import { useDispatch } from "react-redux";

import { api } from "../api/api";
import { asProblem } from "../api/problems";
import { wayIn } from "../features/wayin/slice";
import { type Preferences, languageChosen, preferences, savePreferences, themeChosen } from "./preferences";

const reducer = combineReducers({
  [api.reducerPath]: api.reducer,
  [preferences.name]: preferences.reducer,
  [wayIn.name]: wayIn.reducer,
});
export type RootState = ReturnType<typeof reducer>;

export function makeStore(known: Preferences) {
  const listening = createListenerMiddleware<RootState>();
  listening.startListening({
    matcher: isAnyOf(languageChosen, themeChosen),
    effect: (_, { getState }) => savePreferences(getState().preferences),
  });
  // Whoever is refused as unknown in the midst of work isn't logged in any more: asking who it is shows that.
  listening.startListening({
    predicate: (action) =>
      "payload" in action &&
      /\/execute(Query|Mutation)\/rejected$/.test(action.type) &&
      asProblem(action.payload)?.status === 401,
    effect: ({ meta }, { dispatch }) => {
      const { endpointName } = (meta as { arg: { endpointName: string } }).arg;
      if (endpointName !== "getMe") dispatch(api.util.invalidateTags(["me"]));
    },
  });
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
