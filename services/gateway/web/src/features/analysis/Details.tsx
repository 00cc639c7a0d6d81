import { SectionCard } from "@blueprintjs/core";

import type { AnalysisOut } from "../../api/generated";
import { when } from "../../words/when";
import { useLanguage, useWords } from "../../words/words";
import { Part } from "./Part";
import { words } from "./words";

/** For those who want to know exactly. */
export function Details({ analysis }: { analysis: AnalysisOut }) {
  const t = useWords(words);
  const language = useLanguage();
  const { slices_analysed: read, slices_total: total, out_of_distribution: likeness, timings } = analysis;
  const number = (value: number, digits: number) => value.toLocaleString(language, { maximumFractionDigits: digits });
  const facts: [string, string | null | undefined][] = [
    [t.received, when(analysis.created_at, language)],
    [t.finished, analysis.finished_at && when(analysis.finished_at, language)],
    [t.slicesRead, read === null ? null : t.slicesOf(read, total)],
    [t.seriesChosen, analysis.series_reason],
    [t.likeness, likeness && t.likenessOf(number(likeness.score, 2))],
    [t.took, timings.inference_ms === null ? null : t.seconds(number(timings.inference_ms / 1000, 1))],
    [t.ranOn, analysis.provider],
    [t.analysisId, analysis.id],
    [t.studyId, analysis.study_id],
  ];
  return (
    <Part collapsible collapseProps={{ defaultIsOpen: false }} title={t.details}>
      <SectionCard>
        <dl>
          {facts.map(
            ([name, value]) =>
              value && (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd>{value}</dd>
                </div>
              ),
          )}
        </dl>
      </SectionCard>
    </Part>
  );
}
