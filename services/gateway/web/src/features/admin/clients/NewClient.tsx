import { Checkbox, FormGroup } from "@blueprintjs/core";
import { useState } from "react";

import { useCreateApiClientMutation } from "../../../api/api";
import type { ApiClientWithSecret, Scope } from "../../../api/generated";
import { Ask } from "../../../parts/Ask";
import { Field } from "../../../parts/Field";
import { useWords } from "../../../words/words";
import { ExpiryField, endOf, inDays } from "./expiry";
import { words } from "./words";

const SCOPES: readonly Scope[] = ["read", "write", "identity"];

export function NewClient({ onMade, onClose }: { onMade: (client: ApiClientWithSecret) => void; onClose: () => void }) {
  const t = useWords(words);
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<Scope[]>(["read", "write"]);
  const [until, setUntil] = useState(inDays(365));
  const [create] = useCreateApiClientMutation();
  const toggle = (scope: Scope) =>
    setScopes(scopes.includes(scope) ? scopes.filter((each) => each !== scope) : [...scopes, scope]);
  const go = async () => {
    onMade(await create({ newApiClient: { name: name.trim(), scopes, expires_at: endOf(until) } }).unwrap());
  };
  return (
    <Ask title={t.add} go={t.create} ready={name.trim() !== "" && scopes.length > 0} onGo={go} onClose={onClose}>
      <Field label={t.name} hint={t.nameHint} autoFocus required maxLength={200} value={name} onValue={setName} />
      <FormGroup label={t.scopes}>
        {SCOPES.map((scope) => (
          <Checkbox key={scope} label={t[scope]} checked={scopes.includes(scope)} onChange={() => toggle(scope)} />
        ))}
      </FormGroup>
      <ExpiryField value={until} onValue={setUntil} />
    </Ask>
  );
}
