/** Files that stay here, by the reason; those that are sound may be sent all the same. */
import { Section, SectionCard, Switch } from "@blueprintjs/core";
import { useSelector } from "react-redux";

import { type RootState, useAppDispatch } from "../../app/store";
import { useWords } from "../../words/words";
import { choose } from "./desk";
import type { SetAside } from "./gathered";
import type { Reason } from "./look";
import { words } from "./words";

const SHOWN = 20;

/** `settled`: all is sent, nothing of it can be chosen any more. */
export function SetAsideList({ settled = false }: { settled?: boolean }) {
  const t = useWords(words);
  const dispatch = useAppDispatch();
  const { setAside, others } = useSelector((state: RootState) => state.submit);
  if (setAside.length === 0) return null;
  const sendable = setAside.filter((one) => one.sendable).length;
  const went = others ? sendable : 0;
  if (settled && went === setAside.length) return null;
  return (
    <Section compact collapsible collapseProps={{ defaultIsOpen: setAside.length <= SHOWN }} title={t.setAside(setAside.length - went)}>
      <SectionCard>
        {[...byReason(settled && others ? setAside.filter((one) => !one.sendable) : setAside)].map(([reason, names]) => (
          <div key={reason} className="aside">
            <strong>{t[`reason_${reason}`]}</strong> <span className="quiet">({names.length})</span>
            <ul>
              {names.slice(0, SHOWN).map((name) => (
                <li key={name}>{name}</li>
              ))}
              {names.length > SHOWN && <li className="quiet">{t.andMore(names.length - SHOWN)}</li>}
            </ul>
          </div>
        ))}
        {sendable > 0 && !settled && (
          <>
            <Switch checked={others} onChange={() => void dispatch(choose({ others: !others }))} label={t.others(sendable)} />
            <p className="quiet">{t.othersHelp}</p>
          </>
        )}
      </SectionCard>
    </Section>
  );
}

function byReason(setAside: readonly SetAside[]): Map<Reason, string[]> {
  const reasons = new Map<Reason, string[]>();
  for (const { name, reason } of setAside) reasons.set(reason, [...(reasons.get(reason) ?? []), name]);
  return reasons;
}
