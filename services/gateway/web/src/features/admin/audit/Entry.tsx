import { Tag } from "@blueprintjs/core";

import type { AuditEvent } from "../../../api/generated";
import { roleWords } from "../../../words/roles";
import { exactly } from "../../../words/when";
import { useLanguage, useWords } from "../../../words/words";
import { words } from "./words";

const INTENTS: Record<string, "success" | "warning" | "danger"> = {
  success: "success",
  refused: "warning",
  failure: "danger",
};

export function Entry({ event, names }: { event: AuditEvent; names: ReadonlyMap<string, string> }) {
  const t = useWords(words);
  const roles = useWords(roleWords);
  const language = useLanguage();
  const { at, subject, role, action, outcome, target, address } = event;
  const who = names.get(subject) ?? t[subject as "anonymous"] ?? `…${subject.slice(-8)}`;
  const time = exactly(at, language);
  const facts = {
    [t.number]: event.number,
    [t.hash]: event.hash,
    [t.service]: `${event.service}, ${event.service_number}`,
    [t.subject]: subject,
    [t.session]: event.session_id,
    [t.study]: event.study_id,
    [t.request]: event.request_id,
    [t.detail]: Object.keys(event.detail).length > 0 ? JSON.stringify(event.detail) : null,
  };
  return (
    <li className="entry">
      <div className="grow">
        <strong>{action}</strong>{" "}
        {outcome !== "success" && (
          <Tag minimal intent={INTENTS[outcome] ?? "none"}>
            {t[outcome as "refused"] ?? outcome}
          </Tag>
        )}
        <div className="quiet facts">
          <span>
            {who}
            {role in roles && who !== roles[role as "admin"] ? `, ${roles[role as "admin"]}` : ""}
          </span>
          {target && <span>{target}</span>}
          {address && <span>{t.fromAddress(address)}</span>}
          <time dateTime={at}>{time}</time>
        </div>
        <details>
          <summary>{t.details}</summary>
          <dl className="pairs">
            {Object.entries(facts)
              .filter(([, value]) => value !== null)
              .map(([label, value]) => (
                <div key={label}>
                  <dt>{label}</dt>
                  <dd>
                    <code>{value}</code>
                  </dd>
                </div>
              ))}
          </dl>
        </details>
      </div>
    </li>
  );
}
