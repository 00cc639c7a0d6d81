/** Times as people read them; the API's are UTC. */
export function when(iso: string, language: string): string {
  return new Date(iso).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
}

export function day(iso: string, language: string): string {
  return new Date(iso).toLocaleDateString(language, { dateStyle: "medium" });
}

/** To the second, for what is compared with logs. */
export function exactly(iso: string, language: string): string {
  return new Date(iso).toLocaleString(language, { dateStyle: "medium", timeStyle: "medium" });
}
