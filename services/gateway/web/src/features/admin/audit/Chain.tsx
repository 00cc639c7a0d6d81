import { Button, Callout } from "@blueprintjs/core";

import { useGetAuditChainQuery } from "../../../api/api";
import { Panel } from "../../../parts/Panel";
import { ProblemNote } from "../../../parts/ProblemNote";
import { Skeleton } from "../../../parts/Skeleton";
import { when } from "../../../words/when";
import { useLanguage, useWords } from "../../../words/words";
import { words } from "./words";

/** Where the chain ends, and what is missing in it. */
export function Chain() {
  const t = useWords(words);
  const language = useLanguage();
  const { data, error, isFetching, fulfilledTimeStamp, refetch } = useGetAuditChainQuery(undefined, {
    refetchOnMountOrArgChange: true,
  });
  return (
    <Panel
      title={t.chain}
      actions={
        <Button loading={isFetching} onClick={() => void refetch()}>
          {t.verify}
        </Button>
      }
    >
      <ProblemNote problem={error} />
      {!data && !error && <Skeleton lines={2} />}
      {data && (
        <div role="status">
          {data.findings.length === 0 && data.waiting === 0 ? (
            <Callout compact intent="success">
              {t.whole(data.number)}
            </Callout>
          ) : (
            <Callout compact intent="danger">
              {data.waiting > 0 && <p>{t.missing(data.waiting)}</p>}
              <ul>
                {data.findings.map(({ service, kind, first, last, found_at }) => (
                  <li key={`${service} ${kind} ${first}`}>
                    {t.finding(service, kind, first, last)} ({when(found_at, language)})
                  </li>
                ))}
              </ul>
            </Callout>
          )}
          {fulfilledTimeStamp && <p className="quiet">{t.looked(new Date(fulfilledTimeStamp).toLocaleTimeString(language))}</p>}
        </div>
      )}
      {data?.hash && (
        <dl className="pairs">
          <dt>{t.head}</dt>
          <dd>
            <code>{data.hash}</code>
          </dd>
        </dl>
      )}
      <p className="quiet">{t.headHelp}</p>
    </Panel>
  );
}
