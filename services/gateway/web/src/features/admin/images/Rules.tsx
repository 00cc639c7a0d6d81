import { Button, Radio, RadioGroup } from "@blueprintjs/core";
import { type SyntheticEvent, useState } from "react";

import { useChangeIngestSettingsMutation } from "../../../api/api";
import type { SettingsOut } from "../../../api/generated";
import { Ask } from "../../../parts/Ask";
import { Field } from "../../../parts/Field";
import { Panel } from "../../../parts/Panel";
import { ProblemNote } from "../../../parts/ProblemNote";
import { useTell } from "../../../parts/useTell";
import { useWords } from "../../../words/words";
import { useAttempt } from "../../wayin/useAttempt";
import { type Form, back, changes, erasesSooner, toForm } from "./form";
import { words } from "./words";

export function Rules({ settings }: { settings: SettingsOut }) {
  const t = useWords(words);
  const tell = useTell();
  const [typed, setTyped] = useState<Partial<Form>>({});
  const [asking, setAsking] = useState(false);
  const [change] = useChangeIngestSettingsMutation();
  const { attempt, busy, problem } = useAttempt();
  const form = { ...toForm(settings), ...typed };
  const patch = changes(form, settings);
  const set = (name: keyof Form) => (value: string) => setTyped({ ...typed, [name]: value });

  const save = async () => {
    const undo = back(patch, settings);
    await change({ settingsPatch: patch }).unwrap();
    setTyped({});
    setAsking(false);
    tell.done(t.saved, { back: () => change({ settingsPatch: undo }).unwrap() });
  };
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (erasesSooner(patch, settings)) setAsking(true);
    else void attempt(save);
  };
  const numbers = { type: "number", inputMode: "numeric", min: 0 } as const;
  return (
    <form onSubmit={submit}>
      <Panel title={t.keeping}>
        <ProblemNote problem={problem} />
        <div className="fields">
          <Field
            {...numbers}
            label={t.retention}
            hint={t.retentionHint}
            min={1}
            max={36500}
            value={form.retention_days}
            onValue={set("retention_days")}
          />
          <Field {...numbers} label={t.quotaGb} hint={t.quotaHint} step="any" value={form.quota_gb} onValue={set("quota_gb")} />
          <Field {...numbers} label={t.quotaStudies} hint={t.quotaHint} value={form.quota_studies} onValue={set("quota_studies")} />
          <Field {...numbers} label={t.quotaJobs} hint={t.quotaHint} value={form.quota_jobs} onValue={set("quota_jobs")} />
        </div>
      </Panel>
      <Panel title={t.identities}>
        <RadioGroup
          label={t.profile}
          selectedValue={form.profile}
          onChange={({ currentTarget }) => set("profile")(currentTarget.value)}
        >
          <Radio value="seal" label={t.seal} />
          <Radio value="forget" label={t.forget} />
        </RadioGroup>
        <RadioGroup
          label={t.others}
          selectedValue={form.others}
          onChange={({ currentTarget }) => set("others")(currentTarget.value)}
        >
          <Radio value="refuse" label={t.refuse} />
          <Radio value="keep" label={t.keep} />
        </RadioGroup>
        <div className="narrow">
          <Field
            {...numbers}
            label={t.quiet}
            hint={t.quietHint}
            required
            min={1}
            max={3600}
            value={form.quiet_s}
            onValue={set("quiet_s")}
          />
        </div>
        <div className="buttons">
          <Button type="submit" intent="primary" loading={busy} disabled={Object.keys(patch).length === 0}>
            {t.save}
          </Button>
          {Object.keys(patch).length > 0 && (
            <Button variant="minimal" onClick={() => setTyped({})}>
              {t.discard}
            </Button>
          )}
        </div>
      </Panel>
      {asking && (
        <Ask
          title={t.soonerTitle(form.retention_days)}
          go={t.soonerGo}
          danger
          onGo={save}
          onClose={() => setAsking(false)}
        >
          <p>{t.soonerHelp}</p>
        </Ask>
      )}
    </form>
  );
}
