/** Asking the facility's admins for access. */
import { Button, FormGroup, HTMLSelect, TextArea } from "@blueprintjs/core";
import { type SyntheticEvent, useState } from "react";
import { Link } from "react-router";

import { useAskForAccessMutation } from "../../api/api";
import type { NewAccessRequest } from "../../api/generated";
import { Done } from "../../parts/Done";
import { Field } from "../../parts/Field";
import { Heading } from "../../parts/Heading";
import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import { words } from "./words";

type Role = NonNullable<NewAccessRequest["role"]>;
const ROLES: readonly Role[] = ["member", "viewer", "admin"];

export default function RequestAccess() {
  const t = useWords(words);
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("member");
  const [reason, setReason] = useState("");
  const [ask, { isLoading, isSuccess, error }] = useAskForAccessMutation();
  if (isSuccess) return <Done title={t.sent} help={t.sentHelp(email)} />;

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    void ask({ newAccessRequest: { name: name.trim(), email: email.trim(), role, reason: reason.trim() } });
  };
  return (
    <>
      <Heading>{t.title}</Heading>
      <p>{t.intro}</p>
      <form onSubmit={submit}>
        <ProblemNote problem={error} />
        <Field label={t.name} name="name" autoComplete="name" required value={name} onValue={setName} />
        <Field
          label={t.email}
          type="email"
          name="email"
          autoComplete="email"
          required
          value={email}
          onValue={setEmail}
        />
        <FormGroup label={t.role} labelFor="role">
          <HTMLSelect
            id="role"
            fill
            large
            value={role}
            onChange={({ currentTarget }) => setRole(currentTarget.value as Role)}
            options={ROLES.map((value) => ({ value, label: t[value] }))}
          />
        </FormGroup>
        <FormGroup label={t.reason} labelFor="reason" helperText={t.reasonHint}>
          <TextArea
            id="reason"
            fill
            required
            maxLength={1000}
            rows={3}
            value={reason}
            onChange={({ currentTarget }) => setReason(currentTarget.value)}
          />
        </FormGroup>
        <Button type="submit" intent="primary" size="large" fill loading={isLoading}>
          {t.send}
        </Button>
      </form>
      <p className="links">
        <Link to="/login">{t.login}</Link>
      </p>
    </>
  );
}
