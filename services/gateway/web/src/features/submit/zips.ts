/** The members of a zip, each inflated when its turn comes, by the browser itself. */
import { BlobReader, type FileEntry, ZipReader, configure } from "@zip.js/zip.js/lib/zip-core-native.js";

import { type Found, type Source, isClutter } from "./sources";

// As client/codetect/files.py has them.
const MAX_FILES = 100_000;
const MAX_BYTES = 64 * 2 ** 30;
const MAX_RATIO = 100;

configure({ useWebWorkers: false }); // the page's policy lets no worker in that isn't a file of ours

export async function* unzipped(zip: File, name: string): AsyncGenerator<Found> {
  const found: Found[] = [];
  let bytes = 0;
  try {
    for await (const entry of new ZipReader(new BlobReader(zip)).getEntriesGenerator()) {
      if (entry.directory) continue;
      bytes += entry.uncompressedSize;
      if (found.length >= MAX_FILES || bytes > Math.min(MAX_BYTES, MAX_RATIO * zip.size)) throw new Error("no archive of images");
      found.push(member(entry, `${name}/${entry.filename}`));
    }
  } catch {
    yield { name, reason: "zip_refused" };
    return;
  }
  yield* found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function member(entry: FileEntry, name: string): Found {
  if (isClutter(entry.filename)) return { name, reason: "clutter" };
  if (/\.zip$/i.test(entry.filename)) return { name, reason: "nested_zip" };
  if (entry.encrypted) return { name, reason: "encrypted" };
  if (entry.uncompressedSize === 0) return { name, reason: "empty" };
  return fromEntry(entry, name);
}

function fromEntry(entry: FileEntry, name: string): Source {
  const size = entry.uncompressedSize;
  return {
    name,
    size,
    version: String(entry.signature),
    head: async (bytes) => {
      const parts: Uint8Array[] = [];
      let left = Math.min(bytes, size);
      const enough = new AbortController();
      const sink = new WritableStream<Uint8Array>({
        write: (part) => {
          parts.push(part.slice(0, left));
          left -= Math.min(left, part.length);
          if (left === 0) enough.abort();
        },
      });
      try {
        await entry.getData(sink, { signal: enough.signal, checkSignature: false });
      } catch (error) {
        if (left > 0) throw error;
      }
      return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
    },
    blob: async () => {
      let inflated = 0;
      const counted = new TransformStream<Uint8Array, Uint8Array>({
        transform: (part, out) => {
          inflated += part.length;
          if (inflated > size) throw new Error("larger than the zip says");
          out.enqueue(part);
        },
      });
      const all = new Response(counted.readable).blob();
      const [blob] = await Promise.all([all, entry.getData(counted.writable, { checkSignature: true })]);
      return blob;
    },
  };
}
