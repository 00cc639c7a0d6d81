/** What the model is, what it was made for and what it can't do. */
import { SectionCard } from "@blueprintjs/core";

import type { ModelUsed } from "../../api/generated";
import { asProblem } from "../../api/problems";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useWords } from "../../words/words";
import { useGetModelQuery } from "./api";
import { Part } from "./Part";
import { words } from "./words";

export function ModelCard({ model: { name, version, title } }: { model: ModelUsed }) {
  const t = useWords(words);
  const { data, error } = useGetModelQuery({ name, version: version ?? "" }, { skip: !version });
  const gone = asProblem(error)?.status === 404;
  const card = data?.card;
  return (
    <Part collapsible title={title ?? name} subtitle={`${t.model}${version ? ` · ${t.version(version)}` : ""}`}>
      <SectionCard className="card-of-model">
        {gone && <p className="quiet">{t.cardGone}</p>}
        {!gone && <ProblemNote problem={error} />}
        {!card && !error && version && <Skeleton lines={3} />}
        {card && (
          <dl>
            <dt>{t.intendedUse}</dt>
            <dd>{card.intended_use}</dd>
            <List name={t.limits} items={card.limits} />
            <List name={t.trainedOn} items={card.training_data} />
            <List name={t.tested} items={card.metrics.map(({ data: on, auc, n }) => `${on}: ${t.figures(auc, n)}`)} />
          </dl>
        )}
      </SectionCard>
    </Part>
  );
}

function List({ name, items }: { name: string; items: readonly string[] }) {
  if (items.length === 0) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>
        <ul>
          {items.map((item) => (
            <li key={item}>{item}</li>
          ))}
        </ul>
      </dd>
    </>
  );
}
