/** Amounts as people read them, in the language that was chosen. */
const UNITS = ["kilobyte", "megabyte", "gigabyte"] as const;

export function size(bytes: number, language: string): string {
  const power = bytes < 1e6 ? 0 : bytes < 1e9 ? 1 : 2;
  const amount = bytes / 1000 ** (power + 1);
  const digits = amount < 10 && power > 0 ? 1 : 0;
  return new Intl.NumberFormat(language, { style: "unit", unit: UNITS[power], unitDisplay: "short", maximumFractionDigits: digits }).format(amount);
}

/** How long something will take, roundly. */
export function duration(seconds: number, language: string): string {
  const minutes = seconds >= 90;
  const amount = minutes ? Math.round(seconds / 60) : Math.max(1, Math.round(seconds));
  return new Intl.NumberFormat(language, { style: "unit", unit: minutes ? "minute" : "second", unitDisplay: "long" }).format(amount);
}

/** DICOM's 19500312; anything else as it stands. */
export function date(written: string, language: string): string {
  const [, year, month, day] = /^(\d{4})(\d\d)(\d\d)$/.exec(written) ?? [];
  return year ? new Date(Number(year), Number(month) - 1, Number(day)).toLocaleDateString(language, { dateStyle: "medium" }) : written;
}
