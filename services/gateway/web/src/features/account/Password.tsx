import { Button } from "@blueprintjs/core";
import { type SyntheticEvent, useState } from "react";

import { useChangePasswordMutation, useGetMeQuery } from "../../api/api";
import { Panel } from "../../parts/Panel";
import { PasswordField } from "../../parts/PasswordField";
import { ProblemNote } from "../../parts/ProblemNote";
import { useTell } from "../../parts/useTell";
import { useWords } from "../../words/words";
import { NewPasswordField } from "../password/NewPasswordField";
import { words } from "./words";

export function Password() {
  const t = useWords(words);
  const tell = useTell();
  const { data: me } = useGetMeQuery();
  const [before, setBefore] = useState("");
  const [after, setAfter] = useState("");
  const [change, { isLoading, error }] = useChangePasswordMutation();
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    if ("error" in (await change({ passwordChange: { old: before, new: after } }))) return;
    setBefore("");
    setAfter("");
    tell.done(t.passwordChanged);
  };
  return (
    <Panel title={t.password}>
      <p className="quiet">{t.passwordHelp}</p>
      <form className="narrow" onSubmit={(event) => void submit(event)}>
        <ProblemNote problem={error} />
        {/* Password managers keep it under this name. */}
        <input type="email" hidden name="username" autoComplete="username" value={me?.email ?? ""} readOnly />
        <PasswordField
          label={t.passwordNow}
          name="password"
          autoComplete="current-password"
          required
          value={before}
          onValue={setBefore}
        />
        <NewPasswordField value={after} onValue={setAfter} />
        <Button type="submit" loading={isLoading} disabled={!before || !after}>
          {t.passwordChange}
        </Button>
      </form>
    </Panel>
  );
}
