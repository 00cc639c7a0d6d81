/** Files that the server didn't take, by the reason it gave. */
import { Section, SectionCard } from "@blueprintjs/core";

import type { FileOut, UploadOut } from "../../api/generated";
import { useLanguage, useWords } from "../../words/words";
import { nameOf } from "./desk";
import { reasonInWords } from "./refusals";
import { words } from "./words";

const SHOWN = 20;

export function RefusedFiles({ upload }: { upload: UploadOut }) {
  const t = useWords(words);
  const refused = upload.files.filter(({ state }) => state === "refused");
  const kept = upload.files.filter(({ state }) => state === "kept");
  return (
    <>
      <Files uploadId={upload.id} title={t.refusedFiles(refused.length)} files={refused} />
      <Files uploadId={upload.id} title={t.keptFiles(kept.length)} files={kept} />
    </>
  );
}

function Files({ uploadId, title, files }: { uploadId: string; title: string; files: readonly FileOut[] }) {
  const t = useWords(words);
  const language = useLanguage();
  if (files.length === 0) return null;
  const nameless = files.some(({ number }) => nameOf(uploadId, number) === undefined);
  return (
    <Section compact title={title} className="refused">
      <SectionCard>
        {[...byReason(files)].map(([reason, some]) => (
          <div key={reason} className="aside">
            <strong>{reasonInWords(some[0]?.code ?? "", reason, language)}</strong> <span className="quiet">({some.length})</span>
            <ul>
              {some.slice(0, SHOWN).map(({ number }) => (
                <li key={number}>{nameOf(uploadId, number) ?? t.fileNumber(number)}</li>
              ))}
              {some.length > SHOWN && <li className="quiet">{t.andMore(some.length - SHOWN)}</li>}
            </ul>
          </div>
        ))}
        {nameless && <p className="quiet">{t.namesGone}</p>}
      </SectionCard>
    </Section>
  );
}

function byReason(files: readonly FileOut[]): Map<string, FileOut[]> {
  const reasons = new Map<string, FileOut[]>();
  for (const file of files) {
    const reason = file.detail ?? file.code ?? "";
    reasons.set(reason, [...(reasons.get(reason) ?? []), file]);
  }
  return reasons;
}
