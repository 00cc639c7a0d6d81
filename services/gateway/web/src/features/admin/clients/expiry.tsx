import { Field } from "../../../parts/Field";
import { useWords } from "../../../words/words";
import { words } from "./words";

const DAY_MS = 86_400_000;

/** A date as date fields have it. */
export function inDays(days: number): string {
  return new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 10);
}

/** The end of that day, where the person is. */
export function endOf(day: string): string | null {
  return day ? new Date(`${day}T23:59:59`).toISOString() : null;
}

const SOON_DAYS = 14; // its owner is mailed then, too

/** How far a secret's end is. */
export function standing(expires_at: string | null): "ended" | "soon" | "far" {
  const left = expires_at === null ? Infinity : new Date(expires_at).getTime() - Date.now();
  if (left <= 0) return "ended";
  return left < SOON_DAYS * DAY_MS ? "soon" : "far";
}

/** The API takes five years at most. */
export function ExpiryField({ value, onValue }: { value: string; onValue: (value: string) => void }) {
  const t = useWords(words);
  return (
    <Field
      label={t.until}
      hint={t.untilHint}
      type="date"
      required
      min={inDays(0)}
      max={inDays(5 * 365)}
      value={value}
      onValue={onValue}
    />
  );
}
