import { Button } from "@blueprintjs/core";
import { type SyntheticEvent, useEffect, useState } from "react";

import { useConfirmTotpMutation, useEnrolTotpMutation } from "../../api/api";
import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import { CodeField } from "../wayin/CodeField";
import { words } from "./words";

interface Props {
  token: string;
  onDone: (codes: string[]) => void;
}

export function AddApp({ token, onDone }: Props) {
  const t = useWords(words);
  const [code, setCode] = useState("");
  const [enrol, { data: app, error: unasked }] = useEnrolTotpMutation({ fixedCacheKey: "enrolment" });
  const [confirm, { isLoading, error }] = useConfirmTotpMutation();
  useEffect(() => {
    // One secret a visit: another one would make the code that was scanned before it worthless.
    if (!app && !unasked) void enrol({ enrol: { enrolment_token: token } });
  }, [app, unasked, enrol, token]);

  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    const { data } = await confirm({ confirm: { enrolment_token: token, code } });
    if (data) onDone(data.recovery_codes);
    else setCode("");
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
      <ProblemNote problem={error ?? unasked} />
      <CodeField label={t.code} value={code} onValue={setCode} />
      <Button type="submit" intent="primary" size="large" fill loading={isLoading} disabled={!app}>
        {t.check}
      </Button>
    </form>
  );
}
