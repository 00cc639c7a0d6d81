import { Tag } from "@blueprintjs/core";

import type { Webhook } from "../../../api/generated";
import { when } from "../../../words/when";
import { useLanguage, useWords } from "../../../words/words";
import { words } from "./words";

export function Standing({ webhook: { enabled, failing_since, disabled_reason } }: { webhook: Webhook }) {
  const t = useWords(words);
  const language = useLanguage();
  if (!enabled) return <Tag intent="warning">{disabled_reason ? `${t.off}: ${disabled_reason}` : t.off}</Tag>;
  if (failing_since) return <Tag intent="danger">{t.failing(when(failing_since, language))}</Tag>;
  return (
    <Tag minimal intent="success">
      {t.on}
    </Tag>
  );
}
