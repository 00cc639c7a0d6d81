/** What may be said along with a study; all of it can stay as it is. */
import { Callout, FormGroup, HTMLSelect, Switch } from "@blueprintjs/core";
import { useId } from "react";
import { useSelector } from "react-redux";

import { useListModelsQuery } from "../../api/api";
import type { Problem } from "../../api/problems";
import { type RootState, useAppDispatch } from "../../app/store";
import { Field } from "../../parts/Field";
import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import { identifierIn } from "./identifiers";
import { type Wishes, stood } from "./slice";
import { words } from "./words";

const MAX_REFERENCE = 200;

export function Options({ refused }: { refused?: Problem | undefined }) {
  const t = useWords(words);
  const dispatch = useAppDispatch();
  const wishes = useSelector((state: RootState) => state.submit.wishes);
  const change = (changes: Partial<Wishes>) => dispatch(stood({ wishes: { ...wishes, ...changes }, problem: null }));
  const id = useId();
  const { data: models, error } = useListModelsQuery();
  const titles = new Map(models?.items.filter(({ active }) => active).map(({ name, title }) => [name, title]));
  const identifier = identifierIn(wishes.reference);
  return (
    <>
      <h2>{t.options}</h2>
      <FormGroup helperText={t.urgentHelp}>
        <Switch
          label={t.urgent}
          checked={wishes.priority === "urgent"}
          onChange={({ currentTarget }) => change({ priority: currentTarget.checked ? "urgent" : "routine" })}
        />
      </FormGroup>
      <FormGroup label={t.model} labelFor={id}>
        <HTMLSelect
          id={id}
          fill
          value={wishes.models[0] ?? ""}
          onChange={({ currentTarget }) => change({ models: currentTarget.value ? [currentTarget.value] : [] })}
        >
          <option value="">{t.facilityModel}</option>
          {[...titles].map(([name, title]) => (
            <option key={name} value={name}>
              {title}
            </option>
          ))}
        </HTMLSelect>
      </FormGroup>
      <ProblemNote problem={error} />
      <Field
        label={t.reference}
        hint={t.referenceHelp}
        name="reference"
        autoComplete="off"
        maxLength={MAX_REFERENCE}
        intent={identifier || refused ? "danger" : "none"}
        value={wishes.reference}
        onValue={(reference) => change({ reference })}
      />
      <div role="status">
        {identifier && !refused && (
          <Callout intent="warning" compact className="problem">
            {t.holds(t[identifier])}
          </Callout>
        )}
      </div>
      {refused && <ProblemNote problem={refused} />}
    </>
  );
}
