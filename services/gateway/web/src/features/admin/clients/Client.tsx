import { Button, Menu, MenuDivider, MenuItem, PopoverNext, Tag } from "@blueprintjs/core";
import { Disable, More, Refresh, SwapHorizontal, Tick, Trash } from "@blueprintjs/icons";
import { useState } from "react";

import { useChangeApiClientMutation } from "../../../api/api";
import type { ApiClient, ApiClientWithSecret, Member } from "../../../api/generated";
import { ProblemNote } from "../../../parts/ProblemNote";
import { useTell } from "../../../parts/useTell";
import { day } from "../../../words/when";
import { useLanguage, useWords } from "../../../words/words";
import { HandOn, Revoke, Rotate } from "./changes";
import { standing } from "./expiry";
import { words } from "./words";

interface Props {
  client: ApiClient;
  members: readonly Member[];
  onSecret: (client: ApiClientWithSecret) => void;
}

export function Client({ client, members, onSecret }: Props) {
  const t = useWords(words);
  const language = useLanguage();
  const tell = useTell();
  const [asking, setAsking] = useState<"rotate" | "hand on" | "revoke">();
  const { client_id, name, scopes, owner_id, created_at, rotated_at, suspended_at, expires_at } = client;
  const [change, { isLoading, error }] = useChangeApiClientMutation();
  const owner = members.find(({ id }) => id === owner_id);
  const end = standing(expires_at);
  const idle = owner && owner.status !== "active";
  const suspend = async (suspended: boolean) => {
    if ("error" in (await change({ clientId: client_id, apiClientChange: { suspended } }))) return;
    const back = () => change({ clientId: client_id, apiClientChange: { suspended: !suspended } }).unwrap();
    tell.done(suspended ? t.suspended(name) : t.goesOn(name), { back });
  };
  const close = () => setAsking(undefined);
  const menu = (
    <Menu>
      <MenuItem icon={<Refresh />} text={t.rotate} onClick={() => setAsking("rotate")} />
      <MenuItem icon={<SwapHorizontal />} text={t.handOn} onClick={() => setAsking("hand on")} />
      <MenuDivider />
      <MenuItem
        icon={suspended_at ? <Tick /> : <Disable />}
        text={suspended_at ? t.goOn : t.suspend}
        onClick={() => void suspend(!suspended_at)}
      />
      <MenuItem icon={<Trash />} intent="danger" text={t.revoke} onClick={() => setAsking("revoke")} />
    </Menu>
  );
  return (
    <li>
      <div className="grow">
        <strong>{name}</strong>{" "}
        {scopes.map((scope) => (
          <Tag key={scope} minimal>
            {scope}
          </Tag>
        ))}{" "}
        {end === "ended" && <Tag intent="danger">{t.ended}</Tag>}
        {end === "soon" && <Tag intent="warning">{t.endsSoon}</Tag>}
        {suspended_at && <Tag intent="warning">{t.isSuspended}</Tag>}
        {idle && <Tag intent="warning">{t.ownerSuspended}</Tag>}
        <div className="quiet facts">
          <span>
            <code>{client_id}</code>
          </span>
          <span>{owner_id === null ? t.byCommand : t.ownedBy(owner?.name ?? owner_id.slice(-8))}</span>
          <span>{rotated_at ? t.rotated(day(rotated_at, language)) : t.made(day(created_at, language))}</span>
          {expires_at && <span>{t.lasts(day(expires_at, language))}</span>}
        </div>
      </div>
      <PopoverNext content={menu} placement="bottom-end">
        <Button variant="minimal" icon={<More />} loading={isLoading} aria-label={t.actions(name)} />
      </PopoverNext>
      <div className="problem-line">
        <ProblemNote problem={error} />
      </div>
      {asking === "rotate" && <Rotate client={client} onSecret={onSecret} onClose={close} />}
      {asking === "hand on" && <HandOn client={client} members={members} onClose={close} />}
      {asking === "revoke" && <Revoke client={client} onClose={close} />}
    </li>
  );
}
