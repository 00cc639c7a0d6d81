import { Checkbox, FormGroup } from "@blueprintjs/core";

import type { NewWebhook } from "../../../api/generated";
import { useWords } from "../../../words/words";
import { words } from "./words";

export type EventType = NewWebhook["types"][number];

/** As the API takes them; the type says when one is missing or wrong. */
const TYPES = {
  upload: ["codetect.upload.completed.v1", "codetect.upload.imported.v1", "codetect.upload.refused.v1"],
  study: ["codetect.study.received.v1", "codetect.study.erased.v1"],
  analysis: [
    "codetect.analysis.queued.v1",
    "codetect.analysis.started.v1",
    "codetect.analysis.completed.v1",
    "codetect.analysis.failed.v1",
    "codetect.analysis.cancelled.v1",
  ],
  feedback: ["codetect.feedback.given.v1", "codetect.feedback.adjudicated.v1", "codetect.feedback.reopened.v1"],
  model: ["codetect.model.drifted.v1"],
} as const satisfies Record<string, readonly EventType[]>;

interface Props {
  chosen: readonly EventType[];
  onChosen: (types: EventType[]) => void;
}

export function TypeBoxes({ chosen, onChosen }: Props) {
  const t = useWords(words);
  const toggle = (type: EventType) =>
    onChosen(chosen.includes(type) ? chosen.filter((each) => each !== type) : [...chosen, type]);
  return (
    <FormGroup label={t.types}>
      <div className="admin-types">
        {Object.entries(TYPES).map(([group, types]) => (
          <fieldset key={group}>
            <legend>{t[group as keyof typeof TYPES]}</legend>
            {types.map((type) => (
              <Checkbox
                key={type}
                label={type.split(".")[2]}
                title={type}
                checked={chosen.includes(type)}
                onChange={() => toggle(type)}
              />
            ))}
          </fieldset>
        ))}
      </div>
    </FormGroup>
  );
}
