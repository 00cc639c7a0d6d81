/** Who was invited: to send again, to take back; and inviting others, with or without a request. */
import { Button, HTMLSelect, Tag } from "@blueprintjs/core";
import { NewPerson } from "@blueprintjs/icons";
import { useState } from "react";
import { useSearchParams } from "react-router";

import { useInviteMutation, useResendInvitationMutation, useRevokeInvitationMutation } from "../../../api/api";
import type { Invitation, InvitationState } from "../../../api/generated";
import { Heading } from "../../../parts/Heading";
import { ProblemNote } from "../../../parts/ProblemNote";
import { useTell } from "../../../parts/useTell";
import { roleWords } from "../../../words/roles";
import { when } from "../../../words/when";
import { useLanguage, useWords } from "../../../words/words";
import { useInvitationsInfiniteQuery } from "../api";
import { Listed } from "../Listed";
import { Invite } from "./Invite";
import { words } from "./words";

const STATES: readonly InvitationState[] = ["open", "expired", "accepted", "revoked"];

export default function Invitations() {
  const t = useWords(words);
  const [parameters, setParameters] = useSearchParams();
  const [inviting, setInviting] = useState(false);
  const state = STATES.find((each) => each === parameters.get("status")) ?? "open";
  const list = useInvitationsInfiniteQuery({ status: state }, { refetchOnMountOrArgChange: true, refetchOnFocus: true });
  const empty =
    state === "open" ? (
      <>
        <strong>{t.none}</strong>
        {t.noneHelp}
      </>
    ) : (
      t.noneOf
    );
  return (
    <>
      <div className="head">
        <Heading>{t.title}</Heading>
        <HTMLSelect
          aria-label={t.state}
          value={state}
          onChange={({ currentTarget: { value } }) =>
            setParameters(value === "open" ? {} : { status: value }, { replace: true })
          }
          options={STATES.map((value) => ({ value, label: t[value] }))}
        />
        <Button intent="primary" icon={<NewPerson />} onClick={() => setInviting(true)}>
          {t.invite}
        </Button>
      </div>
      <section className="panel" aria-label={t[state]}>
        <Listed list={list} label={t.title} empty={empty}>
          {(invitation) => <Row key={invitation.id} invitation={invitation} />}
        </Listed>
      </section>
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
