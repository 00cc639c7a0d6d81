/** What nothing brings back: erasing the identities that are sealed. */
import { Button, Callout, Checkbox } from "@blueprintjs/core";
import { useState } from "react";

import { useForgetIdentitiesMutation } from "../../../api/api";
import type { SettingsOut } from "../../../api/generated";
import { Ask } from "../../../parts/Ask";
import { Panel } from "../../../parts/Panel";
import { useTell } from "../../../parts/useTell";
import { useWords } from "../../../words/words";
import { words } from "./words";

export function Forget({ settings: { profile, forgetting } }: { settings: SettingsOut }) {
  const t = useWords(words);
  const tell = useTell();
  const [asking, setAsking] = useState(false);
  const [sure, setSure] = useState(false);
  const [forget] = useForgetIdentitiesMutation();
  const go = async () => {
    await forget().unwrap();
    setAsking(false);
    setSure(false);
    tell.done(t.forgettingNow);
  };
  return (
    <Panel title={t.erasing}>
      <p className="quiet">{t.erasingHelp}</p>
      {forgetting ? (
        <Callout compact intent="warning">
          {t.forgettingNow}
        </Callout>
      ) : (
        <Button
          intent="danger"
          variant="outlined"
          disabled={profile !== "forget"}
          title={profile === "forget" ? undefined : t.forgetFirst}
          onClick={() => setAsking(true)}
        >
          {t.forgetAll}
        </Button>
      )}
      {profile !== "forget" && <p className="quiet">{t.forgetFirst}</p>}
      {asking && (
        <Ask title={t.forgetTitle} go={t.forgetAll} danger ready={sure} onGo={go} onClose={() => setAsking(false)}>
          <p>{t.forgetHelp}</p>
          <Checkbox checked={sure} onChange={() => setSure(!sure)} label={t.forgetSure} />
        </Ask>
      )}
    </Panel>
  );
}
