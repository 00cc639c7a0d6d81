import { HTMLSelect, FormGroup, Radio, RadioGroup } from "@blueprintjs/core";

import { useGetMailPreferencesQuery, usePutMailPreferencesMutation } from "../../api/api";
import type { Choice, MailPreferences } from "../../api/generated";
import { Panel } from "../../parts/Panel";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useTell } from "../../parts/useTell";
import { LANGUAGES, useWords } from "../../words/words";
import { words } from "./words";

const CHOICES: readonly Choice[] = ["none", "failures", "urgent", "all"];

/** Each choice is kept as it is made. */
export function Mails() {
  const t = useWords(words);
  const tell = useTell();
  const { data: chosen, error, refetch } = useGetMailPreferencesQuery();
  const [put, { originalArgs, error: unkept }] = usePutMailPreferencesMutation();
  // What is being kept shows at once, and is what the next choice changes.
  const shown = unkept ? chosen : (originalArgs?.mailPreferences ?? chosen);
  const keep = async (change: Partial<MailPreferences>) => {
    if (shown && !("error" in (await put({ mailPreferences: { ...shown, ...change } })))) tell.done(t.kept);
  };
  return (
    <Panel title={t.mails}>
      <ProblemNote problem={unkept ?? error} {...(error && { retry: () => void refetch() })} />
      {!shown && !error && <Skeleton lines={4} />}
      {shown && (
        <>
          <RadioGroup
            label={t.mailsHelp}
            selectedValue={shown.analyses}
            onChange={({ currentTarget }) => void keep({ analyses: currentTarget.value as Choice })}
          >
            {CHOICES.map((choice) => (
              <Radio key={choice} value={choice} label={t[choice]} />
            ))}
          </RadioGroup>
          <FormGroup label={t.mailLanguage} labelFor="mail-language" helperText={t.mailLanguageHint}>
            <HTMLSelect
              id="mail-language"
              value={shown.language ?? ""}
              onChange={({ currentTarget }) => void keep({ language: currentTarget.value || null })}
              options={[
                { value: "", label: t.houseLanguage },
                ...Object.entries(LANGUAGES).map(([value, label]) => ({ value, label })),
              ]}
            />
          </FormGroup>
        </>
      )}
    </Panel>
  );
}
