import { Button, Tag } from "@blueprintjs/core";
import { Desktop, MobilePhone } from "@blueprintjs/icons";

import { useEndSessionMutation, useEndSessionsMutation, useListSessionsQuery } from "../../api/api";
import type { SessionOut } from "../../api/generated";
import { Panel } from "../../parts/Panel";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useTell } from "../../parts/useTell";
import { when } from "../../words/when";
import { useLanguage, useWords } from "../../words/words";
import { words } from "./words";

/** Ending one asks nothing: whoever was it logs in again. */
export function Logins() {
  const t = useWords(words);
  const tell = useTell();
  const { data, error, refetch } = useListSessionsQuery(undefined, { refetchOnMountOrArgChange: true });
  const [end, one] = useEndSessionMutation();
  const [endAll, all] = useEndSessionsMutation();
  const endOne = async ({ id, device }: SessionOut) => {
    if (!("error" in (await end({ sessionId: id })))) tell.done(t.loginEnded(device));
  };
  const endOthers = async () => {
    if (!("error" in (await endAll({ others: true })))) tell.done(t.othersEnded);
  };
  const others = data?.items.filter(({ current }) => !current) ?? [];
  return (
    <Panel
      title={t.logins}
      actions={
        others.length > 0 && (
          <Button loading={all.isLoading} onClick={() => void endOthers()}>
            {t.endOthers}
          </Button>
        )
      }
    >
      <p className="quiet">{t.loginsHelp}</p>
      <ProblemNote problem={one.error ?? all.error ?? error} {...(error && { retry: () => void refetch() })} />
      {!data && !error && <Skeleton lines={3} />}
      <ul className="things" aria-label={t.logins}>
        {data?.items
          .toSorted((a, b) => Number(b.current) - Number(a.current) || b.used_at.localeCompare(a.used_at))
          .map((login) => (
            <Row key={login.id} login={login} onEnd={() => void endOne(login)} />
          ))}
      </ul>
    </Panel>
  );
}

function Row({ login: { device, address, created_at, used_at, current }, onEnd }: { login: SessionOut; onEnd: () => void }) {
  const t = useWords(words);
  const language = useLanguage();
  return (
    <li>
      {/iPhone|iPad|Android/.test(device) ? <MobilePhone /> : <Desktop />}
      <div className="grow">
        <strong>{device}</strong> {current && <Tag intent="success">{t.thisOne}</Tag>}
        <div className="quiet">
          {t.from(address)} · {t.since(when(created_at, language))} · {t.used(when(used_at, language))}
        </div>
      </div>
      {!current && (
        <Button aria-label={t.endNamed(device)} onClick={onEnd}>
          {t.end}
        </Button>
      )}
    </li>
  );
}
