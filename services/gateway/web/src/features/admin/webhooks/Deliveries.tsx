import { Button, HTMLSelect, Tag } from "@blueprintjs/core";
import { useState } from "react";

import { useRedeliverWebhookMutation } from "../../../api/api";
import type { DeliveryState, WebhookDelivery, WebhookTry } from "../../../api/generated";
import { Panel } from "../../../parts/Panel";
import { ProblemNote } from "../../../parts/ProblemNote";
import { useTell } from "../../../parts/useTell";
import { when } from "../../../words/when";
import { useLanguage, useWords } from "../../../words/words";
import { useWebhookDeliveriesInfiniteQuery } from "../api";
import { Listed } from "../Listed";
import { words } from "./words";

const STATES: readonly DeliveryState[] = ["queued", "delivered", "failed"];
const INTENTS = { queued: "primary", delivered: "success", failed: "danger" } as const;
const LOOK_AGAIN_MS = 5000;

export function Deliveries({ webhookId }: { webhookId: string }) {
  const t = useWords(words);
  const [state, setState] = useState<DeliveryState>();
  const list = useWebhookDeliveriesInfiniteQuery(
    { webhookId, ...(state && { state }) },
    { pollingInterval: LOOK_AGAIN_MS, skipPollingIfUnfocused: true, refetchOnMountOrArgChange: true },
  );
  return (
    <Panel
      title={t.deliveries}
      actions={
        <HTMLSelect
          aria-label={t.state}
          value={state ?? ""}
          onChange={({ currentTarget }) => setState((currentTarget.value || undefined) as DeliveryState | undefined)}
          options={[{ value: "", label: t.any }, ...STATES.map((value) => ({ value, label: t[value] }))]}
        />
      }
    >
      <Listed list={list} label={t.deliveries} empty={t.noDeliveries}>
        {(delivery) => <Delivery key={delivery.id} webhookId={webhookId} delivery={delivery} />}
      </Listed>
    </Panel>
  );
}

function Delivery({ webhookId, delivery }: { webhookId: string; delivery: WebhookDelivery }) {
  const t = useWords(words);
  const language = useLanguage();
  const tell = useTell();
  const [redeliver, { isLoading, error }] = useRedeliverWebhookMutation();
  const { id, message_id, type, state, created_at, next_try_at, body, tries = [] } = delivery;
  const again = async () => {
    if (!("error" in (await redeliver({ webhookId, deliveryId: id })))) tell.done(t.sentAgain);
  };
  const last = tries.at(-1);
  return (
    <li>
      <div className="grow">
        <strong>{type.replace(/^codetect\.|\.v1$/g, "")}</strong>{" "}
        <Tag minimal intent={INTENTS[state]}>
          {t[state]}
        </Tag>
        <div className="quiet facts">
          <span>{when(created_at, language)}</span>
          <span>{t.tries(tries.length)}</span>
          {last && <span>{outcome(last)}</span>}
          {state === "queued" && next_try_at && tries.length > 0 && <span>{t.next(when(next_try_at, language))}</span>}
        </div>
        <details>
          <summary>{t.details}</summary>
          <ol className="tries">
            {tries.map((each) => (
              <li key={each.at}>
                {when(each.at, language)}: {outcome(each)}, {each.took_ms} ms
              </li>
            ))}
          </ol>
          <p className="quiet">{message_id}</p>
          {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard */}
          <pre tabIndex={0}>{body ? JSON.stringify(body, null, 1) : t.forgotten}</pre>
        </details>
      </div>
      <Button loading={isLoading} disabled={!body || state === "queued"} onClick={() => void again()}>
        {t.again}
      </Button>
      <div className="problem-line">
        <ProblemNote problem={error} />
      </div>
    </li>
  );
}

const outcome = ({ status, error }: WebhookTry) => error ?? (status === null ? "" : `HTTP ${status}`);
