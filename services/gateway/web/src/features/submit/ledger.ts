/**
 * What of an unfinished upload is at the store already, so that it goes on after a reload: fingerprints and numbers, in this
 * browser's IndexedDB. No names of files, nothing of patients. Where there is no IndexedDB, nothing can be taken up later.
 */
export interface Begun {
  id: string;
  /** Whose it is: the id of their account. */
  person: string;
  at: number;
  files: number;
  bytes: number;
}
export interface Line {
  fingerprint: string;
  number: number;
  size: number;
  posted: boolean;
}
export interface Unfinished extends Begun {
  postedFiles: number;
  postedBytes: number;
}

const NAME = "codetect-uploads";
const UPLOADS = "uploads";
const FILES = "files";
/** The server gives up an upload that nobody renewed for a day. */
const KEPT_MS = 24 * 3600 * 1000;

type Row = Line & { upload: string };

export async function begin(begun: Begun, lines: readonly Line[]): Promise<void> {
  await change((uploads, files) => {
    uploads.put(begun);
    for (const line of lines) files.put({ ...line, upload: begun.id } satisfies Row);
  });
}

export async function notePosted(id: string, line: Line): Promise<void> {
  await change((_, files) => files.put({ ...line, upload: id, posted: true } satisfies Row));
}

export async function forget(id: string): Promise<void> {
  await change((uploads, files) => {
    uploads.delete(id);
    files.delete(ofUpload(id));
  });
}

export async function linesOf(id: string): Promise<Line[]> {
  return (await ask<Row[]>(FILES, (files) => files.getAll(ofUpload(id)))) ?? [];
}

/** A person's own that nobody is sending at this moment, in another tab for instance; old ones are forgotten. */
export async function unfinished(person: string): Promise<Unfinished[]> {
  const all = (await ask<Begun[]>(UPLOADS, (uploads) => uploads.getAll())) ?? [];
  const old = all.filter(({ at }) => at < Date.now() - KEPT_MS);
  await Promise.all(old.map(({ id }) => forget(id)));
  const held = new Set((await navigator.locks.query()).held?.map(({ name }) => name));
  const mine = all.filter((one) => one.person === person && !old.includes(one) && !held.has(lockName(one.id)));
  return Promise.all(
    mine.map(async (one) => {
      const posted = (await linesOf(one.id)).filter((line) => line.posted);
      return Object.assign(one, { postedFiles: posted.length, postedBytes: posted.reduce((sum, { size }) => sum + size, 0) });
    }),
  );
}

/** Nobody else, in any tab, takes this upload up meanwhile. */
export async function holding<T>(id: string, work: () => Promise<T>): Promise<T> {
  return navigator.locks.request(lockName(id), work) as Promise<T>;
}

const lockName = (id: string) => `${NAME}/${id}`;
const ofUpload = (id: string) => IDBKeyRange.bound([id], [id, []]);

function open(): Promise<IDBDatabase> {
  return new Promise((done, failed) => {
    const asked = indexedDB.open(NAME, 1);
    asked.addEventListener("upgradeneeded", () => {
      asked.result.createObjectStore(UPLOADS, { keyPath: "id" });
      asked.result.createObjectStore(FILES, { keyPath: ["upload", "fingerprint"] });
    });
    asked.addEventListener("success", () => done(asked.result));
    asked.addEventListener("error", () => failed(asked.error));
  });
}

let opened: Promise<IDBDatabase> | undefined;

async function change(how: (uploads: IDBObjectStore, files: IDBObjectStore) => void): Promise<void> {
  try {
    const transaction = (await (opened ??= open())).transaction([UPLOADS, FILES], "readwrite");
    how(transaction.objectStore(UPLOADS), transaction.objectStore(FILES));
    await new Promise<void>((done, failed) => {
      transaction.addEventListener("complete", () => done());
      transaction.addEventListener("abort", () => failed(transaction.error));
    });
  } catch {
    // Not kept: a reload then sends all again.
  }
}

async function ask<T>(store: string, what: (store: IDBObjectStore) => IDBRequest): Promise<T | undefined> {
  try {
    const asked = what((await (opened ??= open())).transaction(store).objectStore(store));
    return await new Promise<T>((done, failed) => {
      asked.addEventListener("success", () => done(asked.result as T));
      asked.addEventListener("error", () => failed(asked.error));
    });
  } catch {
    return undefined;
  }
}
