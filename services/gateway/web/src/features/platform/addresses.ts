/** A facility's own address: its slug instead of ours before the base domain. */
export function addressOf(slug: string, here: Pick<Location, "protocol" | "host"> = location): string {
  return `${here.protocol}//${slug}.${here.host.slice(here.host.indexOf(".") + 1)}/`;
}

/** Mail domains as people write them: with commas, spaces or lines between. */
export function domainsOf(text: string): string[] {
  return text.split(/[\s,;]+/).filter(Boolean);
}
