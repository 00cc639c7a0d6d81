import { ProgressBar } from "@blueprintjs/core";

import { useGetUsageQuery } from "../../../api/api";
import type { Used } from "../../../api/generated";
import { Panel } from "../../../parts/Panel";
import { ProblemNote } from "../../../parts/ProblemNote";
import { Skeleton } from "../../../parts/Skeleton";
import { useLanguage, useWords } from "../../../words/words";
import { words } from "./words";

const GB = 1e9;
const MUCH = 0.85;

export function Usage() {
  const t = useWords(words);
  const language = useLanguage();
  const { data, error, refetch } = useGetUsageQuery(undefined, { refetchOnMountOrArgChange: true });
  const count = (value: number) => value.toLocaleString(language);
  const bytes = (value: number) => `${(value / GB).toLocaleString(language, { maximumFractionDigits: 2 })} GB`;
  return (
    <Panel title={t.usage}>
      <ProblemNote problem={error} {...(error && { retry: () => void refetch() })} />
      {!data && !error && <Skeleton lines={3} />}
      {data && (
        <div className="usage">
          <Line label={t.storage} used={data.bytes} shown={bytes} />
          <Line label={t.studies} used={data.studies} shown={count} />
          <Line label={t.jobs} used={data.jobs} shown={count} />
        </div>
      )}
    </Panel>
  );
}

function Line({ label, used: { used, quota }, shown }: { label: string; used: Used; shown: (value: number) => string }) {
  const t = useWords(words);
  const share = quota ? used / quota : 0;
  return (
    <div>
      <div className="line">
        <span>{label}</span>
        <span>{quota === null ? `${shown(used)} · ${t.unlimited}` : t.of(shown(used), shown(quota))}</span>
      </div>
      {quota !== null && (
        <ProgressBar aria-label={label} value={share} intent={share > MUCH ? "danger" : "primary"} animate={false} stripes={false} />
      )}
    </div>
  );
}
