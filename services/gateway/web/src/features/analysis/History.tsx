import type { FeedbackDetail, Me, OpinionOut, RulingOut } from "../../api/generated";
import { when } from "../../words/when";
import { useLanguage, useWords } from "../../words/words";
import { words } from "./words";

/** All that readers said of a finding, the oldest first; what no longer counts is told, too. */
export function History({ said, me }: { said: FeedbackDetail; me: Me }) {
  const t = useWords(words);
  const all = [
    ...said.opinions.map((opinion) => ({ opinion, ruling: undefined, at: opinion.at })),
    ...said.rulings.map((ruling) => ({ opinion: undefined, ruling, at: ruling.at })),
  ].toSorted((a, b) => a.at.localeCompare(b.at));
  return (
    <details className="history" open={all.length < 4}>
      <summary>{t.history}</summary>
      <ol>
        {all.map(({ opinion, ruling }) => (
          <li key={(opinion ?? ruling)?.at} className={opinion?.superseded || ruling?.reopened_at ? "quiet" : ""}>
            {opinion && <Saying said={opinion} me={me} note={opinion.superseded ? t.overtaken : undefined} />}
            {ruling && <Saying said={ruling} me={me} decided note={ruling.reopened_at ? t.reopened : undefined} />}
          </li>
        ))}
      </ol>
    </details>
  );
}

interface SayingProps {
  said: OpinionOut | RulingOut;
  me: Me;
  decided?: boolean;
  note: string | undefined;
}

function Saying({ said: { reader, says, slices, comment, commented, at }, me, decided, note }: SayingProps) {
  const t = useWords(words);
  const language = useLanguage();
  const facts = [
    decided ? `${t.decided}: ${t[says]}` : t[says],
    slices.length > 0 && t.onSlices(slices.map((n) => n + 1).join(", ")),
    commented && !comment && t.hiddenComment,
    note,
  ].filter(Boolean);
  return (
    <>
      <strong>{reader === me.id ? t.you : t.reader(reader.slice(-6))}</strong>{" "}
      <time className="quiet" dateTime={at}>
        {when(at, language)}
      </time>
      <br />
      {facts.join(" · ")}
      {comment && <blockquote>{comment}</blockquote>}
    </>
  );
}
