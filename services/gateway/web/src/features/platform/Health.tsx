/** How the parts of the platform fare at this moment: services, queues and the workers that listen to them, dead letters. */
import { Button, Callout, Tag } from "@blueprintjs/core";
import { Refresh } from "@blueprintjs/icons";

import type { DeadLetter, Fitness, QueueOut } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { exactly } from "../../words/when";
import { useLanguage, useWords } from "../../words/words";
import { useGetPlatformHealthQuery, useListDeadLettersQuery, useRedeliverDeadLetterMutation } from "./api";
import { RecentErrors } from "./RecentErrors";
import { words } from "./words";

const EVERY_MS = 5000;
const STATES = { ready: "success", unready: "warning", away: "danger" } as const;

export function Health() {
  const t = useWords(words);
  const language = useLanguage();
  const { data, error, refetch, fulfilledTimeStamp } = useGetPlatformHealthQuery(undefined, {
    pollingInterval: EVERY_MS,
    skipPollingIfUnfocused: true,
    refetchOnMountOrArgChange: true,
  });
  const dead = data?.queues.find(({ kind }) => kind === "dead_letters")?.messages ?? 0;
  return (
    <>
      <div className="bar">
        <p className="quiet">
          {t.healthHelp} {fulfilledTimeStamp && t.asOf(new Date(fulfilledTimeStamp).toLocaleTimeString(language))}
        </p>
        <Button icon={<Refresh />} onClick={() => void refetch()}>
          {t.refresh}
        </Button>
      </div>
      <ProblemNote problem={error} />
      {!data && !error && <Skeleton lines={8} />}
      {data && (
        <>
          <Services services={data.services} />
          {data.broker === "away" ? <Callout intent="danger">{t.brokerAway}</Callout> : <Queues queues={data.queues} />}
          <DeadLetters key={dead} count={dead} />
        </>
      )}
      <RecentErrors />
    </>
  );
}

function Services({ services }: { services: Fitness[] }) {
  const t = useWords(words);
  return (
    <section className="item padded">
      <h2>{t.services}</h2>
      <ul className="checks in-line">
        {services.map(({ name, state, checks }) => (
          <li key={name}>
            <strong>{name}</strong>
            <Tag minimal intent={STATES[state]}>
              {t[state]}
            </Tag>
            {Object.entries(checks).map(([check, said]) => (
              <span key={check} className="quiet">
                {check}: {said}
              </span>
            ))}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Queues({ queues }: { queues: QueueOut[] }) {
  const t = useWords(words);
  const number = new Intl.NumberFormat(useLanguage());
  return (
    <section className="item padded">
      <h2>{t.queues}</h2>
      <p className="quiet">{t.queuesHelp}</p>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard */}
      <div className="wide-table" tabIndex={0}>
        <table>
          <thead>
            <tr>
              {[t.queue, t.kind, t.messages, t.listeners].map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {queues.map(({ name, kind, messages, consumers }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{t[kind]}</td>
                <td>{number.format(messages)}</td>
                <td>{kind === "dead_letters" ? "–" : number.format(consumers)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** Asked for when their number changes: looking takes them in hand for a moment. */
function DeadLetters({ count }: { count: number }) {
  const t = useWords(words);
  const { data, error, refetch } = useListDeadLettersQuery(undefined, { skip: count === 0, refetchOnMountOrArgChange: true });
  const items = count === 0 ? [] : data?.items;
  return (
    <section className="item padded" aria-label={t.deadLetters}>
      <h2>{t.deadLetters}</h2>
      <p className="quiet">{t.deadHelp}</p>
      <ProblemNote problem={error} retry={() => void refetch()} />
      {!items && !error && <Skeleton lines={3} />}
      {items?.length === 0 && <p>{t.noDead}</p>}
      <ul className="checks">
        {items?.map((letter) => (
          <Letter key={`${letter.id} ${letter.queue}`} letter={letter} />
        ))}
      </ul>
    </section>
  );
}

function Letter({ letter: { id, type, queue, subject, died_at: died, trace_id: trace } }: { letter: DeadLetter }) {
  const t = useWords(words);
  const language = useLanguage();
  const [redeliver, { isLoading, error }] = useRedeliverDeadLetterMutation();
  return (
    <li>
      <strong>{type ?? t.noEvent}</strong>
      <span>{subject}</span>
      <span className="quiet">
        {queue ?? t.unknownQueue}
        {died && ` · ${exactly(died, language)}`}
        {` · ${t.event(id)}`}
        {trace && ` · ${t.trace(trace)}`}
      </span>
      <Button size="small" disabled={!queue} loading={isLoading} onClick={() => void redeliver({ eventId: id, queue: queue ?? undefined })}>
        {t.sendAgain}
      </Button>
      <ProblemNote problem={error} />
    </li>
  );
}
