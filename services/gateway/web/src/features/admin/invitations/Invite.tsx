import { Button, Dialog, DialogBody, DialogFooter, FormGroup, HTMLSelect, Tag, TextArea } from "@blueprintjs/core";
import { useState } from "react";

import { useInviteMutation } from "../../../api/api";
import type { InvitationOutcome } from "../../../api/generated";
import { Ask } from "../../../parts/Ask";
import { Field } from "../../../parts/Field";
import { useTell } from "../../../parts/useTell";
import { roleWords } from "../../../words/roles";
import { useWords } from "../../../words/words";
import { peopleIn } from "./rows";
import { words } from "./words";

const ROLES = ["member", "viewer", "admin"] as const;
const INTENTS = { invited: "success", already_invited: "none", already_member: "none", refused: "danger" } as const;

/** One person, or several at once; of several each has an outcome of its own. */
export function Invite({ onClose }: { onClose: () => void }) {
  const t = useWords(words);
  const roles = useWords(roleWords);
  const tell = useTell();
  const [several, setSeveral] = useState(false);
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [list, setList] = useState("");
  const [role, setRole] = useState<string>("member");
  const [outcomes, setOutcomes] = useState<InvitationOutcome[]>();
  const [invite] = useInviteMutation();
  const people = several ? peopleIn(list, role) : [{ email: email.trim(), name: name.trim(), role }];
  const go = async () => {
    const { items } = await invite({ body: people }).unwrap();
    const [only] = items;
    if (items.length === 1 && only?.outcome === "invited") {
      tell.done(t.invitedOne(only.email));
      onClose();
    } else {
      setOutcomes(items);
    }
  };
  if (outcomes) return <Outcomes outcomes={outcomes} onClose={onClose} />;
  return (
    <Ask
      title={several ? t.inviteSeveral : t.inviteOne}
      go={several ? t.inviteMany(people.length) : t.invite}
      ready={people.length > 0 && people.every((each) => each.email !== "" && each.name !== "")}
      onGo={go}
      onClose={onClose}
    >
      {several ? (
        <FormGroup label={t.list} labelFor="list" helperText={t.listHint}>
          <TextArea
            id="list"
            fill
            autoFocus
            rows={7}
            value={list}
            onChange={({ currentTarget }) => setList(currentTarget.value)}
          />
        </FormGroup>
      ) : (
        <>
          <Field label={t.email} type="email" autoFocus required value={email} onValue={setEmail} />
          <Field label={t.name} required maxLength={200} value={name} onValue={setName} />
        </>
      )}
      <FormGroup label={several ? t.roleOfOthers : t.role} labelFor="role">
        <HTMLSelect
          id="role"
          fill
          value={role}
          onChange={({ currentTarget }) => setRole(currentTarget.value)}
          options={ROLES.map((value) => ({ value, label: roles[value] }))}
        />
      </FormGroup>
      <Button variant="minimal" intent="primary" onClick={() => setSeveral(!several)}>
        {several ? t.oneInstead : t.severalInstead}
      </Button>
    </Ask>
  );
}

function Outcomes({ outcomes, onClose }: { outcomes: InvitationOutcome[]; onClose: () => void }) {
  const t = useWords(words);
  return (
    <Dialog isOpen title={t.outcomes} isCloseButtonShown={false} onClose={onClose}>
      <DialogBody>
        <ul className="things" aria-label={t.outcomes}>
          {outcomes.map(({ email, outcome, detail }, at) => (
            // oxlint-disable-next-line react/no-array-index-key -- an address may stand there twice
            <li key={at}>
              <div className="grow">
                {email}
                {outcome === "refused" && detail && <div className="quiet">{detail}</div>}
              </div>
              <Tag minimal intent={INTENTS[outcome]}>
                {t[outcome]}
              </Tag>
            </li>
          ))}
        </ul>
      </DialogBody>
      <DialogFooter
        actions={
          <Button intent="primary" onClick={onClose}>
            {t.close}
          </Button>
        }
      />
    </Dialog>
  );
}
