/** What a facility needs before people rely on it, and where to see to it. */
import { Callout } from "@blueprintjs/core";
import { Circle, TickCircle } from "@blueprintjs/icons";
import { Link } from "react-router";

import { useGetChecklistQuery } from "../../../api/api";
import { Heading } from "../../../parts/Heading";
import { ProblemNote } from "../../../parts/ProblemNote";
import { Skeleton } from "../../../parts/Skeleton";
import { useLanguage, useWords } from "../../../words/words";
import { words } from "./words";

/** Where it is seen to; what has no place here is the operators'. */
const PLACES: Record<string, string> = {
  admin_logged_in: "/admin/invitations",
  second_admin: "/admin/invitations",
  retention_set: "/admin/images",
  study_analysed: "/worklist",
};

export default function Checklist() {
  const t = useWords(words);
  const language = useLanguage();
  const { data, error, refetch } = useGetChecklistQuery(undefined, { refetchOnMountOrArgChange: true });
  return (
    <>
      <Heading>{t.title}</Heading>
      <section className="panel" aria-label={t.title}>
        <ProblemNote problem={error} {...(error && { retry: () => void refetch() })} />
        {!data && !error && <Skeleton />}
        {data?.ready && (
          <Callout compact intent="success">
            {t.ready}
          </Callout>
        )}
        <ul className="things" aria-label={t.title}>
          {data?.items.map(({ name, done, todo }) => {
            const known = t[name as "mail_works"] ?? name.replaceAll("_", " ");
            const what = language === "en" ? todo : (t[`${name}_todo` as "mail_works_todo"] ?? todo);
            return (
              <li key={name} className={done ? "done" : "todo"}>
                {done ? <TickCircle color="var(--good)" title={t.done} /> : <Circle title={t.open} />}
                <div className="grow">
                  <strong>{known}</strong>
                  {!done && <div className="quiet">{what}</div>}
                </div>
                {!done && PLACES[name] && <Link to={PLACES[name]}>{t.go}</Link>}
              </li>
            );
          })}
        </ul>
      </section>
    </>
  );
}
