/** Addresses of the facility's that are told of events. */
import { Button, Tag } from "@blueprintjs/core";
import { Plus } from "@blueprintjs/icons";
import { useState } from "react";
import { Link } from "react-router";

import { useListWebhooksQuery } from "../../../api/api";
import type { WebhookWithSecret } from "../../../api/generated";
import { Heading } from "../../../parts/Heading";
import { ProblemNote } from "../../../parts/ProblemNote";
import { SecretOnce } from "../../../parts/Secret";
import { Skeleton } from "../../../parts/Skeleton";
import { useWords } from "../../../words/words";
import { NewWebhook } from "./NewWebhook";
import { Standing } from "./Standing";
import { words } from "./words";

export default function Webhooks() {
  const t = useWords(words);
  const [adding, setAdding] = useState(false);
  const [made, setMade] = useState<WebhookWithSecret>();
  const { data, error, refetch } = useListWebhooksQuery(undefined, { refetchOnMountOrArgChange: true });
  return (
    <>
      <div className="head">
        <Heading>{t.title}</Heading>
        <Button intent="primary" icon={<Plus />} onClick={() => setAdding(true)}>
          {t.add}
        </Button>
      </div>
      <section className="panel" aria-label={t.title}>
        <ProblemNote problem={error} {...(error && { retry: () => void refetch() })} />
        {!data && !error && <Skeleton />}
        {data?.items.length === 0 && (
          <div className="empty">
            <strong>{t.none}</strong>
            {t.noneHelp}
          </div>
        )}
        <ul className="things" aria-label={t.title}>
          {data?.items.map((webhook) => (
            <li key={webhook.id}>
              <div className="grow">
                <Link to={webhook.id}>{webhook.description || webhook.url}</Link> <Standing webhook={webhook} />
                <div className="quiet facts">
                  {webhook.description && <span>{webhook.url}</span>}
                  <span>{t.kinds(webhook.types.length)}</span>
                </div>
              </div>
              <Tag minimal>{webhook.types.map((type) => type.split(".")[1]).filter(unique).join(", ")}</Tag>
            </li>
          ))}
        </ul>
      </section>
      {adding && (
        <NewWebhook
          onClose={() => setAdding(false)}
          onMade={(webhook) => {
            setAdding(false);
            setMade(webhook);
          }}
        />
      )}
      {made && (
        <SecretOnce title={made.url} values={{ secret: made.secret }} onClose={() => setMade(undefined)}>
          <p className="quiet">{t.use}</p>
        </SecretOnce>
      )}
    </>
  );
}

const unique = (each: unknown, at: number, all: unknown[]) => all.indexOf(each) === at;
