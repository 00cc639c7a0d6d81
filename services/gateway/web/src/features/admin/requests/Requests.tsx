/** Who asks to come in: those that wait for a decision, and what became of the others. */
import { HTMLSelect } from "@blueprintjs/core";
import { useSearchParams } from "react-router";

import type { RequestState } from "../../../api/generated";
import { Heading } from "../../../parts/Heading";
import { useWords } from "../../../words/words";
import { useAccessRequestsInfiniteQuery } from "../api";
import { Listed } from "../Listed";
import { Request } from "./Request";
import { WAITING } from "./waiting";
import { words } from "./words";

const STATES: readonly RequestState[] = ["confirmed", "unconfirmed", "approved", "rejected", "expired", "superseded"];

export default function Requests() {
  const t = useWords(words);
  const [parameters, setParameters] = useSearchParams();
  const state = STATES.find((each) => each === parameters.get("status")) ?? "confirmed";
  const list = useAccessRequestsInfiniteQuery({ status: state }, WAITING[1]);
  const empty =
    state === "confirmed" ? (
      <>
        <strong>{t.none}</strong>
        {t.noneHelp}
      </>
    ) : (
      t.noneOf
    );
  return (
    <>
      <div className="head">
        <Heading>{t.title}</Heading>
        <HTMLSelect
          aria-label={t.state}
          value={state}
          onChange={({ currentTarget: { value } }) =>
            setParameters(value === "confirmed" ? {} : { status: value }, { replace: true })
          }
          options={STATES.map((value) => ({ value, label: t[value] }))}
        />
      </div>
      <section className="panel" aria-label={t[state]}>
        <Listed list={list} label={t.title} empty={empty}>
          {(request) => <Request key={request.id} request={request} />}
        </Listed>
      </section>
    </>
  );
}
