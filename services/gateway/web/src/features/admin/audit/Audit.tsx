/** Who did what, who looked at what: to search, to hand out, and whether anything is missing. */
import { AnchorButton, Button, FormGroup, HTMLSelect } from "@blueprintjs/core";
import { Cross, Download } from "@blueprintjs/icons";
import { useId } from "react";

import { serialize } from "../../../api/base";
import { Field } from "../../../parts/Field";
import { Heading } from "../../../parts/Heading";
import { amended, useAddress } from "../../../parts/useAddress";
import { useWords } from "../../../words/words";
import { useApiClientsInfiniteQuery, useAuditEventsInfiniteQuery, useMembersInfiniteQuery } from "../api";
import { Listed } from "../Listed";
import { ACTIONS } from "./actions";
import { Chain } from "./Chain";
import { Entry } from "./Entry";
import { fromAddress } from "./filters";
import { words } from "./words";

const OUTCOMES = ["success", "refused", "failure"] as const;
const EXPORT = "/api/v1/audit-events";

export default function Audit() {
  const t = useWords(words);
  const [parameters, change] = useAddress();
  const filters = fromAddress(parameters);
  const list = useAuditEventsInfiniteQuery(filters, { refetchOnMountOrArgChange: true });
  const { data: people } = useMembersInfiniteQuery();
  const { data: programs } = useApiClientsInfiniteQuery();
  const names = new Map<string, string>([
    ...(programs?.pages.flatMap(({ items }) => items.map(({ client_id, name }) => [client_id, name] as const)) ?? []),
    ...(people?.pages.flatMap(({ items }) => items.map(({ id, name }) => [id, name] as const)) ?? []),
  ]);
  const given = (name: string) => parameters.get(name) ?? "";
  const set = (name: string) => (value: string) => change((now) => amended(now, { [name]: value }));
  const link = (format: string) => `${EXPORT}?${serialize({ ...filters, format })}`;
  return (
    <>
      <div className="head">
        <Heading>{t.title}</Heading>
        <AnchorButton icon={<Download />} href={link("csv")} download="audit.csv">
          CSV
        </AnchorButton>
        <AnchorButton icon={<Download />} href={link("ndjson")} download="audit.ndjson" title={t.ndjson}>
          NDJSON
        </AnchorButton>
      </div>
      <Chain />
      <section className="panel" aria-label={t.title}>
        <form className="filters" aria-label={t.filters} onSubmit={(event) => event.preventDefault()}>
          <Field label={t.from} type="date" value={given("from")} onValue={set("from")} />
          <Field label={t.to} type="date" value={given("to")} onValue={set("to")} />
          <Choice
            label={t.who}
            value={given("subject")}
            onValue={set("subject")}
            options={[...names].map(([value, label]) => ({ value, label }))}
          />
          <Choice
            label={t.what}
            value={given("action")}
            onValue={set("action")}
            options={ACTIONS.map((value) => ({ value, label: value }))}
          />
          <Choice
            label={t.outcome}
            value={given("outcome")}
            onValue={set("outcome")}
            options={OUTCOMES.map((value) => ({ value, label: t[value] }))}
          />
          <Field label={t.target} placeholder="study/…" value={given("target")} onValue={set("target")} />
          {[...parameters].length > 0 && (
            <Button icon={<Cross />} onClick={() => change(() => new URLSearchParams())}>
              {t.clear}
            </Button>
          )}
        </form>
        <Listed list={list} label={t.title} empty={t.none}>
          {(event) => <Entry key={event.id} event={event} names={names} />}
        </Listed>
      </section>
    </>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  onValue: (value: string) => void;
  options: readonly { value: string; label: string }[];
}

/** One of these, or any; what the address names and nobody knows here stays, too. */
function Choice({ label, value, onValue, options }: ChoiceProps) {
  const t = useWords(words);
  const id = useId();
  const strange = value && !options.some((each) => each.value === value) ? [{ value, label: value }] : [];
  return (
    <FormGroup label={label} labelFor={id}>
      <HTMLSelect
        id={id}
        large
        fill
        value={value}
        onChange={({ currentTarget }) => onValue(currentTarget.value)}
        options={[{ value: "", label: t.any }, ...strange, ...options]}
      />
    </FormGroup>
  );
}
