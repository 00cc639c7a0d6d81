/** How somebody likes to see it, kept in this browser. Nothing else is: no token and no patient lies in its storage. */
import { type PayloadAction, createSlice } from "@reduxjs/toolkit";

import { LANGUAGES, type Language } from "../words/words";

export type Theme = "light" | "dark" | "system";
export interface Preferences {
  language: Language;
  theme: Theme;
}

const KEY = "codetect.preferences";
const THEMES = new Set<unknown>(["light", "dark", "system"]);

/** What was kept, as far as it makes sense. */
export function readPreferences(kept: string | null, spoken: readonly string[]): Preferences {
  const preferred = spoken.map((each) => each.slice(0, 2)).find((each) => each in LANGUAGES);
  const fallback: Preferences = { language: (preferred ?? "en") as Language, theme: "system" };
  try {
    const { language, theme } = JSON.parse(kept ?? "{}") as Partial<Preferences>;
    return {
      language: language && language in LANGUAGES ? language : fallback.language,
      theme: theme && THEMES.has(theme) ? theme : fallback.theme,
    };
  } catch {
    return fallback;
  }
}

export function loadPreferences(): Preferences {
  return readPreferences(localStorage.getItem(KEY), navigator.languages);
}

export function savePreferences(preferences: Preferences): void {
  localStorage.setItem(KEY, JSON.stringify(preferences));
}

export const preferences = createSlice({
  name: "preferences",
  initialState: { language: "en", theme: "system" } as Preferences,
  reducers: {
    languageChosen: (state, { payload }: PayloadAction<Language>) => {
      state.language = payload;
    },
    themeChosen: (state, { payload }: PayloadAction<Theme>) => {
      state.theme = payload;
    },
  },
});

export const { languageChosen, themeChosen } = preferences.actions;
