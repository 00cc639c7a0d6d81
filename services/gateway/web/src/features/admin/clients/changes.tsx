/** What is done with an API client: each asks, for programs stop by it. */
import { FormGroup, HTMLSelect } from "@blueprintjs/core";
import { useState } from "react";

import { useChangeApiClientMutation, useRevokeApiClientMutation, useRotateApiClientMutation } from "../../../api/api";
import type { ApiClient, ApiClientWithSecret, Member } from "../../../api/generated";
import { Ask } from "../../../parts/Ask";
import { useTell } from "../../../parts/useTell";
import { useWords } from "../../../words/words";
import { ExpiryField, endOf, inDays } from "./expiry";
import { words } from "./words";

interface Props {
  client: ApiClient;
  onClose: () => void;
}

const GRACES = [24, 4, 1, 0];

export function Rotate({ client, onSecret, onClose }: Props & { onSecret: (client: ApiClientWithSecret) => void }) {
  const t = useWords(words);
  const [grace, setGrace] = useState(24);
  const [until, setUntil] = useState(inDays(365));
  const [rotate] = useRotateApiClientMutation();
  const go = async () => {
    const rotation = { grace_hours: grace, expires_at: endOf(until) };
    const changed = await rotate({ clientId: client.client_id, rotation }).unwrap();
    onClose();
    onSecret(changed);
  };
  return (
    <Ask title={t.rotateTitle(client.name)} go={t.rotateGo} onGo={go} onClose={onClose}>
      <FormGroup label={t.grace} labelFor="grace" helperText={t.graceHint}>
        <HTMLSelect
          id="grace"
          fill
          value={grace}
          onChange={({ currentTarget }) => setGrace(Number(currentTarget.value))}
          options={GRACES.map((value) => ({ value, label: t.hours(value) }))}
        />
      </FormGroup>
      <ExpiryField value={until} onValue={setUntil} />
    </Ask>
  );
}

export function HandOn({ client, members, onClose }: Props & { members: readonly Member[] }) {
  const t = useWords(words);
  const tell = useTell();
  const others = members.filter(({ id, status }) => status === "active" && id !== client.owner_id);
  const [owner, setOwner] = useState(others[0]?.id ?? "");
  const [change] = useChangeApiClientMutation();
  const go = async () => {
    await change({ clientId: client.client_id, apiClientChange: { owner_id: owner } }).unwrap();
    tell.done(t.handedOn(client.name, others.find(({ id }) => id === owner)?.name ?? ""));
    onClose();
  };
  return (
    <Ask title={t.handOnTitle(client.name)} go={t.handOnGo} ready={owner !== ""} onGo={go} onClose={onClose}>
      <FormGroup label={t.owner} labelFor="owner" helperText={t.ownerHint}>
        <HTMLSelect
          id="owner"
          fill
          value={owner}
          onChange={({ currentTarget }) => setOwner(currentTarget.value)}
          options={others.map(({ id, name, email }) => ({ value: id, label: `${name}, ${email}` }))}
        />
      </FormGroup>
    </Ask>
  );
}

export function Revoke({ client, onClose }: Props) {
  const t = useWords(words);
  const tell = useTell();
  const [revoke] = useRevokeApiClientMutation();
  const go = async () => {
    await revoke({ clientId: client.client_id }).unwrap();
    tell.done(t.revoked(client.name));
    onClose();
  };
  return (
    <Ask title={t.revokeTitle(client.name)} go={t.revokeGo} danger onGo={go} onClose={onClose}>
      <p>{t.revokeHelp}</p>
    </Ask>
  );
}
