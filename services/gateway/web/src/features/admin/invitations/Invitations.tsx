/** Who was invited: to send again, to take back; and inviting others, with or without a request. */
import { Button, Tag } from "@blueprintjs/core";
import { NewPerson } from "@blueprintjs/icons";
import { useState } from "react";

import { useInviteMutation, useResendInvitationMutation, useRevokeInvitationMutation } from "../../../api/api";
import type { Invitation } from "../../../api/generated";
import { ProblemNote } from "../../../parts/ProblemNote";
import { useTell } from "../../../parts/useTell";
import { roleWords } from "../../../words/roles";
import { when } from "../../../words/when";
import { useLanguage, useWords } from "../../../words/words";
import { useInvitationsInfiniteQuery } from "../api";
import { ByState, useShownState } from "../ByState";
import { Invite } from "./Invite";
import { words } from "./words";

const STATES = ["open", "expired", "accepted", "revoked"] as const;

export default function Invitations() {
  const t = useWords(words);
  const [inviting, setInviting] = useState(false);
  const status = useShownState(STATES);
  const list = useInvitationsInfiniteQuery({ status }, { refetchOnMountOrArgChange: true, refetchOnFocus: true });
  const invite = (
    <Button intent="primary" icon={<NewPerson />} onClick={() => setInviting(true)}>
      {t.invite}
    </Button>
  );
  return (
    <>
      <ByState states={STATES} words={t} list={list} tools={invite}>
        {(invitation) => <Row key={invitation.id} invitation={invitation} />}
      </ByState>
      {inviting && <Invite onClose={() => setInviting(false)} />}
    </>
  );
}

function Row({ invitation: { id, name, email, role, state, sent, inviter, changed_at, expires_at } }: { invitation: Invitation }) {
  const t = useWords(words);
  const roles = useWords(roleWords);
  const language = useLanguage();
  const tell = useTell();
  const [resend, again] = useResendInvitationMutation();
  const [revoke, taken] = useRevokeInvitationMutation();
  const [invite] = useInviteMutation();
  const sendAgain = async () => {
    if (!("error" in (await resend({ invitationId: id })))) tell.done(t.sentAgain(email));
  };
  const takeBack = async () => {
    if ("error" in (await revoke({ invitationId: id }))) return;
    tell.done(t.taken(name), { back: () => invite({ body: { email, name, role } }).unwrap(), label: t.inviteAgain });
  };
  return (
    <li>
      <div className="grow">
        <strong>{name}</strong> <Tag minimal>{roles[role]}</Tag>
        <div className="quiet facts">
          <span>{email}</span>
          {inviter && <span>{t.by(inviter)}</span>}
          <span>
            {state === "open" ? t.until(when(expires_at, language)) : `${t[state]} ${when(changed_at, language)}`}
          </span>
          {sent > 1 && <span>{t.times(sent)}</span>}
        </div>
      </div>
      {(state === "open" || state === "expired") && (
        <div className="doing">
          <Button loading={again.isLoading} aria-label={t.againNamed(name)} onClick={() => void sendAgain()}>
            {t.again}
          </Button>
          {state === "open" && (
            <Button loading={taken.isLoading} aria-label={t.takeNamed(name)} onClick={() => void takeBack()}>
              {t.take}
            </Button>
          )}
        </div>
      )}
      <div className="problem-line">
        <ProblemNote problem={again.error ?? taken.error} />
      </div>
    </li>
  );
}
