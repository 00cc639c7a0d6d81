/** Where files come from: dropped folders, chosen files, zips. Each is opened when its turn comes; none is held in memory. */
import type { Reason } from "./look";

export interface Source {
  /** As its owner knows it; it never leaves this page. */
  name: string;
  size: number;
  /** Changes when its content does. */
  version: string;
  /** Its first bytes. */
  head: (bytes: number) => Promise<Uint8Array<ArrayBuffer>>;
  /** All of it. */
  blob: () => Promise<Blob>;
}

/** A file that can't be opened, or needn't be. */
export interface Unopened {
  name: string;
  reason: Reason;
}

export type Found = Source | Unopened;

const TYPE = "application/octet-stream";

export function isSource(found: Found): found is Source {
  return "blob" in found;
}

/** Everything in a drop. Entries must be taken at once: later the browser forgets them. */
export function dropped({ items }: DataTransfer): AsyncGenerator<Found> {
  const entries = Array.from(items, (item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  return below(entries);
}

/** What was chosen in the browser's own dialog. */
export async function* chosen(files: Iterable<File>): AsyncGenerator<Found> {
  for (const file of files) yield* opened(file, file.webkitRelativePath || file.name);
}

async function* below(entries: FileSystemEntry[]): AsyncGenerator<Found> {
  for (const entry of entries.toSorted((a, b) => (a.fullPath < b.fullPath ? -1 : 1))) {
    const name = entry.fullPath.replace(/^\//, "");
    if (entry.isDirectory) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one folder after the other, in order
        yield* below(await children(entry as FileSystemDirectoryEntry));
      } catch {
        yield { name, reason: "unreadable" };
      }
    } else {
      // oxlint-disable-next-line no-await-in-loop -- a file when its turn comes
      const file = await new Promise<File | undefined>((done) => {
        (entry as FileSystemFileEntry).file(done, () => done(undefined));
      });
      if (file) yield* opened(file, name);
      else yield { name, reason: "unreadable" };
    }
  }
}

/** The browser gives a hundred at a time, and then none. */
async function children(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- the next part comes after this one
    const part = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (part.length === 0) return all;
    all.push(...part);
  }
}

async function* opened(file: File, name: string): AsyncGenerator<Found> {
  if (isClutter(name)) yield { name, reason: "clutter" };
  else if (file.size === 0) yield { name, reason: "empty" };
  else if (/\.zip$/i.test(name)) {
    const { unzipped } = await import("./zips");
    yield* unzipped(file, name);
  } else yield fromFile(file, name);
}

export function fromFile(file: File, name: string): Source {
  return {
    name,
    size: file.size,
    version: String(file.lastModified),
    head: async (bytes) => new Uint8Array(await file.slice(0, bytes).arrayBuffer()),
    blob: async () => file.slice(0, file.size, TYPE),
  };
}

/** What systems and publishers put beside images; as client/codetect/files.py has it. */
export function isClutter(name: string): boolean {
  const parents = name.replaceAll("\\", "/").split("/");
  const last = parents.pop() ?? "";
  return (
    parents.includes("__MACOSX") ||
    [".DS_Store", "Thumbs.db", "desktop.ini", "DICOMDIR"].includes(last) ||
    /^(\._|README|LICENSE|LICENCE)/.test(last) ||
    last.endsWith(".md")
  );
}
