/** One webhook: what it is told, whether that arrives, and trying it out. */
import { Button, Switch } from "@blueprintjs/core";
import { ChevronLeft, Edit, Endorsed, Key, Trash } from "@blueprintjs/icons";
import { useState } from "react";
import { Link, useNavigate, useParams } from "react-router";

import {
  useChangeWebhookMutation,
  useGetWebhookQuery,
  useRemoveWebhookMutation,
  useRenewWebhookSecretMutation,
  useTestWebhookMutation,
} from "../../../api/api";
import type { Webhook as Hook } from "../../../api/generated";
import { Ask } from "../../../parts/Ask";
import { Heading } from "../../../parts/Heading";
import { Panel } from "../../../parts/Panel";
import { ProblemNote } from "../../../parts/ProblemNote";
import { SecretOnce } from "../../../parts/Secret";
import { Skeleton } from "../../../parts/Skeleton";
import { useTell } from "../../../parts/useTell";
import { useWords } from "../../../words/words";
import { Deliveries } from "./Deliveries";
import { EditWebhook } from "./EditWebhook";
import { Standing } from "./Standing";
import { words } from "./words";

export default function Webhook() {
  const t = useWords(words);
  const { webhookId = "" } = useParams();
  const { data: webhook, error, refetch } = useGetWebhookQuery({ webhookId });
  return (
    <>
      <Link to="/admin/webhooks" className="back">
        <ChevronLeft /> {t.title}
      </Link>
      <ProblemNote problem={error} {...(error && { retry: () => void refetch() })} />
      {!webhook && !error && <Skeleton />}
      {webhook && <Known webhook={webhook} />}
    </>
  );
}

function Known({ webhook }: { webhook: Hook }) {
  const t = useWords(words);
  const tell = useTell();
  const navigate = useNavigate();
  const [asking, setAsking] = useState<"edit" | "secret" | "remove">();
  const [secret, setSecret] = useState<string>();
  const [change, changed] = useChangeWebhookMutation();
  const [test, tested] = useTestWebhookMutation();
  const [renew] = useRenewWebhookSecretMutation();
  const [remove] = useRemoveWebhookMutation();
  const { id: webhookId, url, description, enabled, types } = webhook;
  const close = () => setAsking(undefined);

  const toggle = async () => {
    if ("error" in (await change({ webhookId, webhookChange: { enabled: !enabled } }))) return;
    const back = () => change({ webhookId, webhookChange: { enabled } }).unwrap();
    tell.done(enabled ? t.switchedOff : t.switchedOn, { back });
  };
  const tryOut = async () => {
    if (!("error" in (await test({ webhookId })))) tell.done(t.testSent);
  };

  return (
    <>
      <div className="head">
        <Heading>{description || url}</Heading>
        <Button icon={<Endorsed />} loading={tested.isLoading} disabled={!enabled} onClick={() => void tryOut()}>
          {t.test}
        </Button>
      </div>
      <Panel
        title={t.about}
        actions={
          <Switch
            className="switch"
            checked={enabled}
            disabled={changed.isLoading}
            label={t.enabled}
            onChange={() => void toggle()}
          />
        }
      >
        <ProblemNote problem={changed.error ?? tested.error} />
        <p>
          <Standing webhook={webhook} />
        </p>
        <dl className="pairs">
          <dt>{t.url}</dt>
          <dd>
            <code>{url}</code>
          </dd>
          <dt>{t.types}</dt>
          <dd>{types.map((type) => type.replace(/^codetect\.|\.v1$/g, "")).join(", ")}</dd>
        </dl>
        <div className="buttons">
          <Button icon={<Edit />} onClick={() => setAsking("edit")}>
            {t.change}
          </Button>
          <Button icon={<Key />} onClick={() => setAsking("secret")}>
            {t.newSecret}
          </Button>
          <Button icon={<Trash />} intent="danger" variant="outlined" onClick={() => setAsking("remove")}>
            {t.remove}
          </Button>
        </div>
      </Panel>
      <Deliveries webhookId={webhookId} />

      {asking === "edit" && <EditWebhook webhook={webhook} onClose={close} />}
      {asking === "secret" && (
        <Ask
          title={t.newSecret}
          go={t.newSecretGo}
          onClose={close}
          onGo={async () => {
            const made = await renew({ webhookId }).unwrap();
            close();
            setSecret(made.secret);
          }}
        >
          <p>{t.newSecretHelp}</p>
        </Ask>
      )}
      {asking === "remove" && (
        <Ask
          title={t.removeTitle}
          go={t.remove}
          danger
          onClose={close}
          onGo={async () => {
            await remove({ webhookId }).unwrap();
            tell.done(t.removed);
            await navigate("/admin/webhooks");
          }}
        >
          <p>{t.removeHelp}</p>
        </Ask>
      )}
      {secret && <SecretOnce title={t.newSecret} values={{ secret }} onClose={() => setSecret(undefined)} />}
    </>
  );
}
