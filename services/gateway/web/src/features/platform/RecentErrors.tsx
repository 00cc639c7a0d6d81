/** What went wrong lately in any process, with the ids that find it in the logs. */
import type { Trouble } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { exactly } from "../../words/when";
import { useLanguage, useWords } from "../../words/words";
import { useListRecentErrorsQuery } from "./api";
import { words } from "./words";

const EVERY_MS = 15_000;

export function RecentErrors() {
  const t = useWords(words);
  const { data, error, refetch } = useListRecentErrorsQuery(
    {},
    { pollingInterval: EVERY_MS, skipPollingIfUnfocused: true, refetchOnMountOrArgChange: true },
  );
  return (
    <section className="item padded" aria-label={t.errors}>
      <h2>{t.errors}</h2>
      <p className="quiet">{t.errorsHelp}</p>
      <ProblemNote problem={error} retry={() => void refetch()} />
      {!data && !error && <Skeleton lines={3} />}
      {data?.items.length === 0 && <p>{t.noErrors}</p>}
      <ul className="checks">
        {data?.items.map((trouble) => (
          <Line key={Object.values(trouble).join(" ")} trouble={trouble} />
        ))}
      </ul>
    </section>
  );
}

function Line({ trouble: { at, process, said, kind, place, request_id: request, trace_id: trace, event_id: event, job } }: { trouble: Trouble }) {
  const t = useWords(words);
  const language = useLanguage();
  const ids = [request && t.request(request), trace && t.trace(trace), event && t.event(event), job && t.job(job)];
  return (
    <li>
      <time className="quiet-time" dateTime={at}>
        {exactly(at, language)}
      </time>
      <strong>{process}</strong>
      <span>{kind ? `${said}: ${kind}` : said}</span>
      <span className="quiet">{[place, ...ids].filter(Boolean).join(" · ")}</span>
    </li>
  );
}
