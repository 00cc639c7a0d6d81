import { Button, FormGroup, HTMLSelect, Tag, TextArea } from "@blueprintjs/core";
import { useState } from "react";

import {
  useApproveAccessRequestMutation,
  useRejectAccessRequestMutation,
  useRevokeInvitationMutation,
} from "../../../api/api";
import type { AccessRequest, Role } from "../../../api/generated";
import { Ask } from "../../../parts/Ask";
import { ProblemNote } from "../../../parts/ProblemNote";
import { useTell } from "../../../parts/useTell";
import { roleWords } from "../../../words/roles";
import { when } from "../../../words/when";
import { useLanguage, useWords } from "../../../words/words";
import { words } from "./words";

const RANK = ["viewer", "member", "admin"] as const;
type Given = (typeof RANK)[number];

export function Request({ request }: { request: AccessRequest }) {
  const t = useWords(words);
  const roles = useWords(roleWords);
  const language = useLanguage();
  const tell = useTell();
  const lesser = RANK.slice(0, RANK.findIndex((each) => each === request.role) + 1); // more than was asked for isn't given
  const [role, setRole] = useState<Role>(request.role);
  const [refusing, setRefusing] = useState(false);
  const [approve, { isLoading, error }] = useApproveAccessRequestMutation();
  const [withdraw] = useRevokeInvitationMutation();
  const letIn = async () => {
    const approval = { role: role === request.role ? null : (role as Given) };
    const { data: invitation } = await approve({ requestId: request.id, approval });
    if (!invitation) return;
    const back = () => withdraw({ invitationId: invitation.id }).unwrap();
    tell.done(t.letIn(request.name), { back, label: t.withdraw });
  };
  return (
    <li>
      <div className="grow">
        <strong>{request.name}</strong> <Tag minimal>{roles[request.role]}</Tag>
        <div className="quiet facts">
          <span>{request.email}</span>
          <span>{t.asked(when(request.created_at, language))}</span>
          {request.state === "confirmed" ? (
            <span>{t.until(when(request.expires_at, language))}</span>
          ) : (
            <span>
              {t[request.state]} {when(request.changed_at, language)}
            </span>
          )}
        </div>
        <div className="said">{request.reason}</div>
      </div>
      {request.state === "confirmed" && (
        <div className="doing">
          <HTMLSelect
            aria-label={t.as(request.name)}
            value={role}
            onChange={({ currentTarget }) => setRole(currentTarget.value as Role)}
            options={lesser.map((value) => ({ value, label: roles[value] }))}
          />
          <Button intent="primary" loading={isLoading} aria-label={t.approveNamed(request.name)} onClick={() => void letIn()}>
            {t.approve}
          </Button>
          <Button aria-label={t.refuseNamed(request.name)} onClick={() => setRefusing(true)}>
            {t.refuse}
          </Button>
        </div>
      )}
      <div className="problem-line">
        <ProblemNote problem={error} />
      </div>
      {refusing && <Refuse request={request} onClose={() => setRefusing(false)} />}
    </li>
  );
}

function Refuse({ request, onClose }: { request: AccessRequest; onClose: () => void }) {
  const t = useWords(words);
  const tell = useTell();
  const [reason, setReason] = useState("");
  const [reject] = useRejectAccessRequestMutation();
  const go = async () => {
    await reject({ requestId: request.id, rejection: { reason: reason.trim() } }).unwrap();
    tell.done(t.refused(request.name));
    onClose();
  };
  return (
    <Ask title={t.refuseTitle(request.name)} go={t.refuse} danger ready={reason.trim() !== ""} onGo={go} onClose={onClose}>
      <FormGroup label={t.why} labelFor="reason" helperText={t.whyHint}>
        <TextArea
          id="reason"
          fill
          autoFocus
          required
          rows={3}
          maxLength={1000}
          value={reason}
          onChange={({ currentTarget }) => setReason(currentTarget.value)}
        />
      </FormGroup>
    </Ask>
  );
}
