/** Programs that work for the facility: what they may do, how long, and whose they are. */
import { Button } from "@blueprintjs/core";
import { Plus } from "@blueprintjs/icons";
import { useState } from "react";

import type { ApiClientWithSecret } from "../../../api/generated";
import { Heading } from "../../../parts/Heading";
import { SecretOnce } from "../../../parts/Secret";
import { useWords } from "../../../words/words";
import { useApiClientsInfiniteQuery, useMembersInfiniteQuery } from "../api";
import { Listed } from "../Listed";
import { Client } from "./Client";
import { NewClient } from "./NewClient";
import { words } from "./words";

export default function Clients() {
  const t = useWords(words);
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<ApiClientWithSecret>();
  const list = useApiClientsInfiniteQuery(undefined, { refetchOnMountOrArgChange: true });
  const { data: people } = useMembersInfiniteQuery();
  const members = people?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <>
      <div className="head">
        <Heading>{t.title}</Heading>
        <Button intent="primary" icon={<Plus />} onClick={() => setMaking(true)}>
          {t.add}
        </Button>
      </div>
      <section className="panel" aria-label={t.title}>
        <Listed
          list={list}
          label={t.title}
          empty={
            <>
              <strong>{t.none}</strong>
              {t.noneHelp}
            </>
          }
        >
          {(client) => <Client key={client.client_id} client={client} members={members} onSecret={setMade} />}
        </Listed>
      </section>
      {making && (
        <NewClient
          onClose={() => setMaking(false)}
          onMade={(client) => {
            setMaking(false);
            setMade(client);
          }}
        />
      )}
      {made && (
        <SecretOnce
          title={made.name}
          values={{ client_id: made.client_id, client_secret: made.client_secret }}
          onClose={() => setMade(undefined)}
        >
          <p className="quiet">{t.use}</p>
        </SecretOnce>
      )}
    </>
  );
}
