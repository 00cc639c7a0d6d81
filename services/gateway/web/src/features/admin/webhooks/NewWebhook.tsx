import { useState } from "react";

import { useAddWebhookMutation } from "../../../api/api";
import type { WebhookWithSecret } from "../../../api/generated";
import { Ask } from "../../../parts/Ask";
import { Field } from "../../../parts/Field";
import { useWords } from "../../../words/words";
import { type EventType, TypeBoxes } from "./types";
import { words } from "./words";

export function NewWebhook({ onMade, onClose }: { onMade: (webhook: WebhookWithSecret) => void; onClose: () => void }) {
  const t = useWords(words);
  const [url, setUrl] = useState("https://");
  const [description, setDescription] = useState("");
  const [types, setTypes] = useState<EventType[]>(["codetect.analysis.completed.v1", "codetect.analysis.failed.v1"]);
  const [add] = useAddWebhookMutation();
  const go = async () => {
    onMade(await add({ newWebhook: { url: url.trim(), types, description: description.trim() } }).unwrap());
  };
  return (
    <Ask title={t.add} go={t.create} ready={url.trim() !== "https://" && types.length > 0} onGo={go} onClose={onClose}>
      <Field label={t.url} hint={t.urlHint} type="url" autoFocus required maxLength={2000} value={url} onValue={setUrl} />
      <Field label={t.description} maxLength={200} value={description} onValue={setDescription} />
      <TypeBoxes chosen={types} onChosen={setTypes} />
    </Ask>
  );
}
