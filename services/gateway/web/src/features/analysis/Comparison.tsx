/** Two analyses' findings beside each other. */
import { Button, HTMLTable, SectionCard } from "@blueprintjs/core";

import type { AnalysisOut } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { findingName } from "../../words/findings";
import { useLanguage, useWords } from "../../words/words";
import { Part } from "./Part";
import { percent } from "./shown";
import { words } from "./words";

interface Props {
  one: AnalysisOut;
  other: AnalysisOut | undefined;
  error: unknown;
  onEnd: () => void;
}

const of = ({ findings }: AnalysisOut, label: string) => findings.find((each) => each.label === label)?.probability;

export function Comparison({ one, other, error, onEnd }: Props) {
  const t = useWords(words);
  const language = useLanguage();
  const end = (
    <Button size="small" onClick={onEnd}>
      {t.endCompare}
    </Button>
  );
  const labels = [...new Set([...one.findings, ...(other?.findings ?? [])].map(({ label }) => label))];
  const points = (change: number | undefined) =>
    change === undefined ? "" : `${change > 0 ? "+" : ""}${(change * 100).toLocaleString(language, { maximumFractionDigits: 0 })}`;
  return (
    <Part title={t.compare} rightElement={end}>
      <SectionCard>
        <ProblemNote problem={error} />
        {!other && !error && <Skeleton lines={2} />}
        {other && (
          <HTMLTable compact>
            <thead>
              <tr>
                <th scope="col">{t.findings}</th>
                <th scope="col">{t.thisOne}</th>
                <th scope="col">{t.other}</th>
                <th scope="col">{t.change}</th>
              </tr>
            </thead>
            <tbody>
              {labels.map((label) => {
                const [a, b] = [of(one, label), of(other, label)];
                return (
                  <tr key={label}>
                    <td>{findingName(label)}</td>
                    <td>{a === undefined ? "" : percent(a, language)}</td>
                    <td>{b === undefined ? "" : percent(b, language)}</td>
                    <td>{points(a === undefined || b === undefined ? undefined : a - b)}</td>
                  </tr>
                );
              })}
            </tbody>
          </HTMLTable>
        )}
        {other && (one.model.name !== other.model.name || one.model.version !== other.model.version) && (
          <p className="quiet">{t.otherModel}</p>
        )}
      </SectionCard>
    </Part>
  );
}
