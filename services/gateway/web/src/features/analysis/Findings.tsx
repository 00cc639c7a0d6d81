/** What the model found: how sure it is, from where on it counts, and what readers say to it. */
import { Button, SectionCard, Tag } from "@blueprintjs/core";
import { Locate } from "@blueprintjs/icons";

import type { AnalysisOut, Bundle, FeedbackDetail, FindingOut, Me } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { findingName } from "../../words/findings";
import { useLanguage, useWords } from "../../words/words";
import { useGetFeedbackQuery, useGetModelQuery } from "./api";
import { Feedback } from "./Feedback";
import { Part } from "./Part";
import { percent, testOf } from "./shown";
import { words } from "./words";

interface Props {
  analysis: AnalysisOut;
  me: Me;
  /** The slice in sight. */
  n: number;
  onN: (n: number) => void;
  /** Whose heatmap and curve are shown. */
  label: string | undefined;
  onLabel: (label: string) => void;
}

export function Findings({ analysis, me, n, onN, label, onLabel }: Props) {
  const t = useWords(words);
  const { name, version } = analysis.model;
  const { data: model } = useGetModelQuery({ name, version: version ?? "" }, { skip: !version });
  const { data: feedback, error } = useGetFeedbackQuery({ analysisId: analysis.id });
  return (
    <Part title={t.findings}>
      <ProblemNote problem={error} />
      {analysis.findings.map((finding) => (
        <SectionCard key={finding.label}>
          <Finding
            finding={finding}
            card={model?.card}
            shown={finding.label === label}
            several={analysis.findings.length > 1}
            onShow={() => onLabel(finding.label)}
            onN={onN}
          />
          <Feedback
            analysisId={analysis.id}
            finding={finding}
            said={feedback?.items.find((each: FeedbackDetail) => each.label === finding.label)}
            me={me}
            n={n}
          />
        </SectionCard>
      ))}
    </Part>
  );
}

interface FindingProps {
  finding: FindingOut;
  card: Bundle | undefined;
  shown: boolean;
  several: boolean;
  onShow: () => void;
  onN: (n: number) => void;
}

function Finding({ finding, card, shown, several, onShow, onN }: FindingProps) {
  const t = useWords(words);
  const language = useLanguage();
  const { label, probability, threshold, positive, peak } = finding;
  const test = card && testOf(card);
  const own = card?.labels.find(({ name }) => name === label);
  return (
    <div className="finding">
      <div className="finding-head">
        <h3>{own?.title ?? findingName(label)}</h3>
        <Tag minimal intent={positive ? "danger" : "success"}>
          {positive ? t.positive : t.negative}
        </Tag>
        <strong className={positive ? "number positive" : "number"}>{percent(probability, language)}</strong>
      </div>
      <div className="scale" aria-hidden>
        <div className={positive ? "filled positive" : "filled"} style={{ width: `${probability * 100}%` }} />
        <div className="threshold" style={{ left: `${threshold * 100}%` }} />
      </div>
      <p className="quiet hint">
        {t.scored(probability, threshold)} {test && `${t.calibration(test.data, test.ece)} ${own?.study_threshold ? t.studiesUnmeasured : t.atThreshold(test.sensitivity, test.specificity)}`}
        {card && !test && (card.metrics.length > 0 ? t.onCard : t.notCalibrated)}
      </p>
      <div className="finding-tools">
        {peak ? (
          <Button
            size="small"
            variant="minimal"
            icon={<Locate />}
            onClick={() => {
              onShow();
              onN(peak.slice);
            }}
          >
            {t.strongest(peak.slice + 1)}
          </Button>
        ) : (
          <span className="quiet">{t.noEvidence}</span>
        )}
        {several && (
          <Button size="small" variant="minimal" active={shown} aria-pressed={shown} onClick={onShow}>
            {t.heatmap}
          </Button>
        )}
      </div>
    </div>
  );
}
