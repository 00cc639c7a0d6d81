/** The catalogue: each feature keeps its sentences, in every language, in a `words.ts`; a missing one is a type error. */
import { useSelector } from "react-redux";

import type { RootState } from "../app/store";

export const LANGUAGES = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof LANGUAGES;

type Sentence = string | ((...values: never[]) => string);
type Same<T> = { [K in keyof T]: T[K] extends string ? string : T[K] };
export type Catalogue<T> = Record<Language, Same<T>>;

export function catalogue<T extends Record<string, Sentence>>(en: T, de: Same<T>): Catalogue<T> {
  return { en: en as Same<T>, de };
}

export function useLanguage(): Language {
  return useSelector((state: RootState) => state.preferences.language);
}

/** A feature's sentences in the language that was chosen. */
export function useWords<T>(words: Catalogue<T>): Same<T> {
  return words[useLanguage()];
}
