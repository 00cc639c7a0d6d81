/** What people wrote down of the study, on whichever of its analyses. */
import { Button, SectionCard } from "@blueprintjs/core";
import { type SyntheticEvent, useState } from "react";

import type { Me, NoteOut } from "../../api/generated";
import { LongField } from "../../parts/LongField";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useTell } from "../../parts/useTell";
import { when } from "../../words/when";
import { useLanguage, useWords } from "../../words/words";
import { useListNotesQuery, useTakeNoteBackMutation, useWriteNoteMutation } from "./api";
import { Part } from "./Part";
import { words } from "./words";

interface Props {
  analysisId: string;
  me: Me;
}

export function Notes({ analysisId, me }: Props) {
  const t = useWords(words);
  const { data, error, refetch } = useListNotesQuery({ analysisId }, { refetchOnMountOrArgChange: true });
  const writes = me.role === "member" || me.role === "admin";
  const items = data?.items ?? [];
  if (data && items.length === 0 && !writes) return null;
  return (
    <Part title={t.notes}>
      <SectionCard>
        <ProblemNote problem={error} retry={() => void refetch()} />
        {!data && !error && <Skeleton lines={2} />}
        <ul className="notes">
          {items.map((note) => (
            <Note key={note.id} note={note} analysisId={analysisId} me={me} />
          ))}
        </ul>
        {writes && data && <Write analysisId={analysisId} />}
      </SectionCard>
    </Part>
  );
}

function Note({ note: { id, writer, at, text }, analysisId, me }: Props & { note: NoteOut }) {
  const t = useWords(words);
  const language = useLanguage();
  const [takeBack, { isLoading, error }] = useTakeNoteBackMutation();
  const [write] = useWriteNoteMutation();
  const tell = useTell();
  const mine = writer === me.id;
  const remove = async () => {
    if ((await takeBack({ analysisId, noteId: id })).error) return;
    const again = mine && text !== null && { back: () => write({ analysisId, noteRequest: { text } }).unwrap() };
    tell.done(t.takenBack, again || undefined);
  };
  return (
    <li>
      <strong>{mine ? t.you : t.reader(writer.slice(-6))}</strong>{" "}
      <time className="quiet" dateTime={at}>
        {when(at, language)}
      </time>
      {(mine || me.role === "admin") && (
        <Button size="small" variant="minimal" loading={isLoading} onClick={() => void remove()}>
          {t.takeBack}
        </Button>
      )}
      {text === null ? <p className="quiet">{t.hiddenNote}</p> : <blockquote>{text}</blockquote>}
      <ProblemNote problem={error} />
    </li>
  );
}

function Write({ analysisId }: { analysisId: string }) {
  const t = useWords(words);
  const [text, setText] = useState("");
  const [write, { isLoading, error }] = useWriteNoteMutation();
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    const answer = await write({ analysisId, noteRequest: { text: text.trim() } });
    if (!answer.error) setText("");
  };
  return (
    <form className="opinion" aria-label={t.writeNote} onSubmit={(event) => void submit(event)}>
      <LongField label={t.writeNote} hint={t.noteHelp} maxLength={2000} value={text} onValue={setText} />
      <ProblemNote problem={error} />
      <Button type="submit" size="small" loading={isLoading} disabled={!text.trim()}>
        {t.keepNote}
      </Button>
    </form>
  );
}
