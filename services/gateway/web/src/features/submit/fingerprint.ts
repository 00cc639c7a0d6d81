/** The same for the same unchanged file, wherever it lies: of its beginning, which names the image, never of its name. */
export async function fingerprint(head: Uint8Array<ArrayBuffer>, size: number, version: string): Promise<string> {
  const about = new TextEncoder().encode(`${size}\n${version}\n`);
  const all = new Uint8Array(about.length + head.length);
  all.set(about);
  all.set(head, about.length);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", all));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
