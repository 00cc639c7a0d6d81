/** Agree with a finding, or say what one sees oneself; and what readers said before. */
import { Button, Tag } from "@blueprintjs/core";
import { Edit, ThumbsUp } from "@blueprintjs/icons";
import { useState } from "react";

import type { FeedbackDetail, FindingOut, Me, Said } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { findingName } from "../../words/findings";
import { useWords } from "../../words/words";
import { useAdjudicateFeedbackMutation, useGiveFeedbackMutation, useReopenFeedbackMutation } from "./api";
import { History } from "./History";
import { Opinion } from "./Opinion";
import { says } from "./shown";
import { words } from "./words";

interface Props {
  analysisId: string;
  finding: FindingOut;
  said: FeedbackDetail | undefined;
  me: Me;
  n: number;
}

export function Feedback({ analysisId, finding, said, me, n }: Props) {
  const t = useWords(words);
  const [open, setOpen] = useState<"opinion" | "decision">();
  const [give, giving] = useGiveFeedbackMutation();
  const [adjudicate, adjudicating] = useAdjudicateFeedbackMutation();
  const [reopen, reopening] = useReopenFeedbackMutation();
  const writes = me.role === "member" || me.role === "admin";
  const mine = said?.opinions.find(({ reader, superseded }) => reader === me.id && !superseded);
  const agrees = mine?.says === says(finding);
  const settled = said?.state === "adjudicated";
  const mayDecide = said?.state === "waiting" && !said.opinions.some(({ reader }) => reader === me.id);
  const busy = giving.isLoading || adjudicating.isLoading;

  const send = async (what: Said) => {
    const answer =
      open === "decision" && said
        ? await adjudicate({ feedbackId: said.id, said: what })
        : await give({ analysisId, feedbackRequest: { findings: [{ ...what, label: finding.label }] } });
    if (!answer.error) setOpen(undefined);
  };
  return (
    <div className="feedback" role="group" aria-label={t.feedbackOf(findingName(finding.label))}>
      {said && (
        <p className="feedback-state">
          <Tag minimal intent={said.state === "waiting" ? "warning" : "none"}>
            {t[`state${said.state}`]}
          </Tag>{" "}
          {said.says && <span>{t[said.says]}</span>}{" "}
          {said.reason && <span className="quiet">{t[`reason${said.reason}`]}</span>}
        </p>
      )}
      {writes && !settled && !open && (
        <div className="finding-tools">
          <Button
            size="small"
            icon={<ThumbsUp />}
            active={agrees}
            aria-pressed={agrees}
            loading={busy}
            onClick={() => void send({ says: says(finding) })}
          >
            {agrees ? t.agreed : t.agree}
          </Button>
          <Button size="small" icon={<Edit />} onClick={() => setOpen("opinion")}>
            {t.correct}
          </Button>
          {mayDecide && (
            <Button size="small" intent="primary" onClick={() => setOpen("decision")}>
              {t.decide}
            </Button>
          )}
        </div>
      )}
      {writes && settled && said && (
        <Button size="small" loading={reopening.isLoading} onClick={() => void reopen({ feedbackId: said.id })}>
          {t.reopen}
        </Button>
      )}
      {open && (
        <Opinion
          title={open === "decision" ? t.decide : t.feedbackOf(findingName(finding.label))}
          start={mine?.says ?? (finding.positive ? "absent" : "present")}
          n={n}
          busy={busy}
          onSend={(what) => void send(what)}
          onDismiss={() => setOpen(undefined)}
        />
      )}
      <ProblemNote problem={giving.error ?? adjudicating.error ?? reopening.error} />
      {said && <History said={said} me={me} />}
    </div>
  );
}
