import { useState } from "react";

import { useChangeWebhookMutation } from "../../../api/api";
import type { Webhook } from "../../../api/generated";
import { Ask } from "../../../parts/Ask";
import { Field } from "../../../parts/Field";
import { useTell } from "../../../parts/useTell";
import { useWords } from "../../../words/words";
import { type EventType, TypeBoxes } from "./types";
import { words } from "./words";

export function EditWebhook({ webhook, onClose }: { webhook: Webhook; onClose: () => void }) {
  const t = useWords(words);
  const tell = useTell();
  const before = { url: webhook.url, description: webhook.description, types: webhook.types as EventType[] };
  const [after, setAfter] = useState(before);
  const [change] = useChangeWebhookMutation();
  const set = (webhookChange: typeof before) => change({ webhookId: webhook.id, webhookChange }).unwrap();
  const go = async () => {
    await set({ ...after, url: after.url.trim(), description: after.description.trim() });
    tell.done(t.changed, { back: () => set(before) });
    onClose();
  };
  return (
    <Ask title={t.change} go={t.save} ready={after.url.trim() !== "" && after.types.length > 0} onGo={go} onClose={onClose}>
      <Field
        label={t.url}
        hint={t.urlHint}
        type="url"
        required
        maxLength={2000}
        value={after.url}
        onValue={(url) => setAfter({ ...after, url })}
      />
      <Field
        label={t.description}
        maxLength={200}
        value={after.description}
        onValue={(description) => setAfter({ ...after, description })}
      />
      <TypeBoxes chosen={after.types} onChosen={(types) => setAfter({ ...after, types })} />
    </Ask>
  );
}
