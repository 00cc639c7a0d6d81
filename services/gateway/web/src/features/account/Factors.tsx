import { Button, Callout, Dialog, DialogBody } from "@blueprintjs/core";
import { Edit, Key, MobilePhone, Trash } from "@blueprintjs/icons";
import { useState } from "react";

import {
  useAddPasskeyMutation,
  useAskForNewPasskeyMutation,
  useListFactorsQuery,
  useRemoveFactorMutation,
  useRenewRecoveryCodesMutation,
  useStartTotpMutation,
} from "../../api/api";
import type { Factor, FurtherEnrolment } from "../../api/generated";
import { Ask } from "../../parts/Ask";
import { Panel } from "../../parts/Panel";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useTell } from "../../parts/useTell";
import { day, when } from "../../words/when";
import { useLanguage, useWords } from "../../words/words";
import { CodesToKeep } from "../secondfactor/RecoveryCodes";
import { canUsePasskeys, makePasskey } from "../wayin/passkeys";
import { useAttempt } from "../wayin/useAttempt";
import { FurtherApp } from "./FurtherApp";
import { RenameFactor } from "./RenameFactor";
import { words } from "./words";

const FEW = 3;

export function Factors() {
  const t = useWords(words);
  const tell = useTell();
  const { data: factors, error, refetch } = useListFactorsQuery();
  const [app, setApp] = useState<FurtherEnrolment>();
  const [codes, setCodes] = useState<string[]>();
  const [renamed, setRenamed] = useState<Factor>();
  const [removed, setRemoved] = useState<Factor>();
  const [renewing, setRenewing] = useState(false);
  const { attempt, busy, problem } = useAttempt();
  const [startTotp] = useStartTotpMutation();
  const [askForPasskey] = useAskForNewPasskeyMutation();
  const [addPasskey] = useAddPasskeyMutation();
  const [remove] = useRemoveFactorMutation();
  const [renew] = useRenewRecoveryCodesMutation();

  const withApp = () => attempt(async () => setApp(await startTotp().unwrap()));
  const withPasskey = () =>
    attempt(async () => {
      const credential = await makePasskey(await askForPasskey().unwrap());
      // Its name can be changed at once; without a question it is added sooner.
      setRenamed(await addPasskey({ newPasskey: { credential, name: t.passkey } }).unwrap());
    });
  const left = factors?.recovery_codes_left;

  return (
    <Panel title={t.factors}>
      <p className="quiet">{t.factorsHelp}</p>
      <ProblemNote problem={problem ?? error} {...(error && { retry: () => void refetch() })} />
      {!factors && !error && <Skeleton lines={3} />}
      <ul className="things" aria-label={t.factors}>
        {factors?.items.map((factor) => (
          <Row
            key={factor.id}
            factor={factor}
            last={factors.items.length === 1}
            onRename={() => setRenamed(factor)}
            onRemove={() => setRemoved(factor)}
          />
        ))}
      </ul>
      <div className="buttons">
        <Button icon={<MobilePhone />} loading={busy} onClick={() => void withApp()}>
          {t.addApp}
        </Button>
        {canUsePasskeys() && (
          <Button icon={<Key />} loading={busy} onClick={() => void withPasskey()}>
            {t.addPasskey}
          </Button>
        )}
      </div>
      <h3>{t.recovery}</h3>
      {left !== undefined && left <= FEW && (
        <Callout compact intent="warning" className="problem">
          {t.fewLeft}
        </Callout>
      )}
      <p className="line">
        <span>{left === undefined ? "" : t.left(left)}</span>
        <Button onClick={() => setRenewing(true)}>{t.renew}</Button>
      </p>

      {app && <FurtherApp app={app} onClose={() => setApp(undefined)} />}
      {renamed && <RenameFactor factor={renamed} onClose={() => setRenamed(undefined)} />}
      {removed && (
        <Ask
          title={t.removeTitle(removed.name)}
          go={t.remove}
          danger
          onClose={() => setRemoved(undefined)}
          onGo={async () => {
            await remove({ factorId: removed.id }).unwrap();
            setRemoved(undefined);
            tell.done(t.removed(removed.name));
          }}
        >
          <p>{t.removeHelp}</p>
        </Ask>
      )}
      {renewing && (
        <Ask
          title={t.renew}
          go={t.renewGo}
          onClose={() => setRenewing(false)}
          onGo={async () => {
            const made = await renew().unwrap();
            setRenewing(false);
            setCodes(made.recovery_codes);
          }}
        >
          <p>{t.renewHelp}</p>
        </Ask>
      )}
      {codes && (
        <Dialog
          isOpen
          title={t.newCodes}
          isCloseButtonShown={false}
          canOutsideClickClose={false}
          canEscapeKeyClose={false}
        >
          <DialogBody>
            <CodesToKeep codes={codes} button={t.done} onSaved={() => setCodes(undefined)} />
          </DialogBody>
        </Dialog>
      )}
    </Panel>
  );
}

interface RowProps {
  factor: Factor;
  last: boolean;
  onRename: () => void;
  onRemove: () => void;
}

function Row({ factor: { kind, name, created_at, used_at }, last, onRename, onRemove }: RowProps) {
  const t = useWords(words);
  const language = useLanguage();
  return (
    <li>
      {kind === "passkey" ? <Key /> : <MobilePhone />}
      <div className="grow">
        <strong>{name}</strong>
        <div className="quiet">
          {kind === "passkey" ? t.passkey : t.app} · {t.added(day(created_at, language))} ·{" "}
          {used_at ? t.used(when(used_at, language)) : t.unused}
        </div>
      </div>
      <Button variant="minimal" icon={<Edit />} aria-label={t.rename(name)} onClick={onRename} />
      <Button
        variant="minimal"
        icon={<Trash />}
        aria-label={t.removeNamed(name)}
        disabled={last}
        title={last ? t.lastStays : undefined}
        onClick={onRemove}
      />
    </li>
  );
}
