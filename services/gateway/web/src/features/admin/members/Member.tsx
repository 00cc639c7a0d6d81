import { Button, HTMLSelect, Menu, MenuDivider, MenuItem, PopoverNext, Tag } from "@blueprintjs/core";
import { Disable, EyeOff, EyeOpen, LogOut, More, Refresh, Tick, Trash } from "@blueprintjs/icons";
import { useState } from "react";

import { useChangeMemberMutation, useEndMemberSessionsMutation } from "../../../api/api";
import type { MemberChange, Member as Person } from "../../../api/generated";
import { ProblemNote } from "../../../parts/ProblemNote";
import { useTell } from "../../../parts/useTell";
import { roleWords } from "../../../words/roles";
import { day } from "../../../words/when";
import { useLanguage, useWords } from "../../../words/words";
import { Remove } from "./Remove";
import { ResetFactors } from "./ResetFactors";
import { words } from "./words";

const ROLES = ["admin", "member", "viewer"] as const;
type Given = (typeof ROLES)[number];

/** What can be taken back is done at once, with the way back; what can't is asked for first. */
export function Member({ member, isMe }: { member: Person; isMe: boolean }) {
  const t = useWords(words);
  const roles = useWords(roleWords);
  const language = useLanguage();
  const tell = useTell();
  const [asking, setAsking] = useState<"reset" | "remove">();
  const [change, { isLoading, error }] = useChangeMemberMutation();
  const [endSessions, ended] = useEndMemberSessionsMutation();
  const { id, name, email, role, rights, status } = member;
  const suspended = status === "suspended";
  const sees = rights.includes("identity");

  const set = async (to: MemberChange, before: MemberChange, told: string) => {
    if ("error" in (await change({ memberId: id, memberChange: to }))) return;
    tell.done(told, { back: () => change({ memberId: id, memberChange: before }).unwrap() });
  };
  const setRole = (to: Given) => set({ role: to }, { role: role as Given }, t.isNow(name, roles[to]));
  const setSees = (to: boolean) =>
    set({ rights: to ? ["identity"] : [] }, { rights }, to ? t.seesNow(name) : t.seesNoMore(name));
  const setStatus = (to: "active" | "suspended") =>
    set({ status: to }, { status: suspended ? "suspended" : "active" }, to === "active" ? t.active(name) : t.suspended(name));
  const logOut = async () => {
    if (!("error" in (await endSessions({ memberId: id })))) tell.done(t.loginsEnded(name));
  };

  const menu = (
    <Menu>
      <MenuItem icon={sees ? <EyeOff /> : <EyeOpen />} text={sees ? t.hide : t.show} onClick={() => void setSees(!sees)} />
      <MenuItem icon={<LogOut />} text={t.endLogins} onClick={() => void logOut()} />
      {!isMe && <MenuItem icon={<Refresh />} text={t.reset} onClick={() => setAsking("reset")} />}
      <MenuDivider />
      <MenuItem
        icon={suspended ? <Tick /> : <Disable />}
        text={suspended ? t.reactivate : t.suspend}
        onClick={() => void setStatus(suspended ? "active" : "suspended")}
      />
      <MenuItem icon={<Trash />} intent="danger" text={t.remove} onClick={() => setAsking("remove")} />
    </Menu>
  );
  return (
    <li>
      <div className="grow">
        <strong>{name}</strong> {isMe && <Tag minimal>{t.you}</Tag>}{" "}
        {suspended && <Tag intent="warning">{t.isSuspended}</Tag>} {sees && <Tag minimal>{roles.identity}</Tag>}
        <div className="quiet facts">
          <span>{email}</span>
          <span>{t.since(day(member.created_at, language))}</span>
        </div>
      </div>
      <div className="doing">
        <HTMLSelect
          aria-label={t.roleOf(name)}
          value={role}
          disabled={isLoading}
          onChange={({ currentTarget }) => void setRole(currentTarget.value as Given)}
          options={ROLES.map((value) => ({ value, label: roles[value] }))}
        />
        <PopoverNext content={menu} placement="bottom-end">
          <Button variant="minimal" icon={<More />} loading={isLoading || ended.isLoading} aria-label={t.actions(name)} />
        </PopoverNext>
      </div>
      <div className="problem-line">
        <ProblemNote problem={error ?? ended.error} />
      </div>
      {asking === "reset" && <ResetFactors member={member} onClose={() => setAsking(undefined)} />}
      {asking === "remove" && <Remove member={member} onClose={() => setAsking(undefined)} />}
    </li>
  );
}
