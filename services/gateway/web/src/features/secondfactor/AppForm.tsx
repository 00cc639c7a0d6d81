/** A QR code to scan, and the first code that the app then shows. */
import { Button } from "@blueprintjs/core";
import { type ReactNode, type SyntheticEvent, useState } from "react";

import type { Enrolment } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import { CodeField } from "../wayin/CodeField";
import { useAttempt } from "../wayin/useAttempt";
import { words } from "./words";

interface Props {
  /** Undefined while it is on its way. */
  app: Enrolment | undefined;
  /** Why there is none. */
  unasked?: unknown;
  /** Throws a Problem. */
  onCode: (code: string) => Promise<void>;
  children?: ReactNode;
}

export function AppForm({ app, unasked, onCode, children }: Props) {
  const t = useWords(words);
  const [code, setCode] = useState("");
  const { attempt, busy, problem } = useAttempt();
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    const right = await attempt(async () => {
      await onCode(code.trim());
      return true;
    });
    if (!right) setCode("");
  };
  const secret = app?.secret.match(/.{1,4}/g)?.join(" ") ?? "";
  return (
    <form onSubmit={(event) => void submit(event)}>
      <p>{t.scan}</p>
      <div className="qr">
        {app ? <img alt={t.qr} src={`data:image/svg+xml,${encodeURIComponent(app.qr_svg)}`} /> : <div className="bp6-skeleton" />}
      </div>
      <p className="quiet">
        {t.byHand} <code className="secret">{secret}</code>
      </p>
      <ProblemNote problem={problem ?? unasked} />
      {children}
      <CodeField label={t.code} value={code} onValue={setCode} />
      <Button type="submit" intent="primary" size="large" fill loading={busy} disabled={!app}>
        {t.check}
      </Button>
    </form>
  );
}
