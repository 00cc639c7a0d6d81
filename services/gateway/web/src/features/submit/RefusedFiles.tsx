/** Files that the server didn't take, or keeps without analysing them, by the reason it gave. */
import type { FileOut, UploadOut } from "../../api/generated";
import { useLanguage, useWords } from "../../words/words";
import { nameOf } from "./desk";
import { Files, grouped } from "./Files";
import { reasonInWords } from "./refusals";
import { words } from "./words";

export function RefusedFiles({ upload }: { upload: UploadOut }) {
  const t = useWords(words);
  const refused = upload.files.filter(({ state }) => state === "refused");
  const kept = upload.files.filter(({ state }) => state === "kept");
  return (
    <>
      <Some uploadId={upload.id} title={t.refusedFiles(refused.length)} files={refused} />
      <Some uploadId={upload.id} title={t.keptFiles(kept.length)} files={kept} />
    </>
  );
}

function Some({ uploadId, title, files }: { uploadId: string; title: string; files: readonly FileOut[] }) {
  const t = useWords(words);
  const language = useLanguage();
  if (files.length === 0) return null;
  const nameless = files.some(({ number }) => nameOf(uploadId, number) === undefined);
  const byReason = grouped(
    files,
    ({ code, detail }) => reasonInWords(code ?? "", detail ?? "", language),
    ({ number }) => nameOf(uploadId, number) ?? t.fileNumber(number),
  );
  return (
    <Files title={title} byReason={byReason} open>
      {nameless && <p className="quiet">{t.namesGone}</p>}
    </Files>
  );
}
