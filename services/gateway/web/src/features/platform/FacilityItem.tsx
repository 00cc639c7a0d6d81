import { Button, Collapse, Tag } from "@blueprintjs/core";
import { ChevronDown, ChevronRight } from "@blueprintjs/icons";
import { type SyntheticEvent, useState } from "react";

import type { Facility } from "../../api/generated";
import { Field } from "../../parts/Field";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { day } from "../../words/when";
import { useLanguage, useWords } from "../../words/words";
import { useChangeFacilityMutation, useGetChecklistOfQuery, useInviteFirstAdminMutation } from "./api";
import { addressOf, domainsOf } from "./addresses";
import { words } from "./words";

export function FacilityItem({ facility }: { facility: Facility }) {
  const t = useWords(words);
  const language = useLanguage();
  const [open, setOpen] = useState(false);
  const { name, slug, status, mail_domains: domains, created_at: created } = facility;
  const ours = slug === location.hostname.split(".")[0];
  return (
    <li className="item">
      <div className="item-head">
        <Button
          variant="minimal"
          icon={open ? <ChevronDown /> : <ChevronRight />}
          aria-expanded={open}
          onClick={() => setOpen(!open)}
          alignText="start"
        >
          <strong>{name}</strong>
        </Button>
        <a href={addressOf(slug)}>{slug}</a>
        {status === "suspended" && <Tag intent="warning">{t.suspended}</Tag>}
        <span className="quiet grow">{domains.join(", ")}</span>
        <time className="quiet" dateTime={created}>
          {day(created, language)}
        </time>
      </div>
      <Collapse isOpen={open}>
        <div className="item-body">
          <Facts facility={facility} />
          <Checklist facilityId={facility.id} />
          <Change facility={facility} />
          {!ours && <InviteAdmin facilityId={facility.id} />}
          {!ours && <Suspend facility={facility} />}
        </div>
      </Collapse>
    </li>
  );
}

function Facts({ facility: { retention_days: days, profile } }: { facility: Facility }) {
  const t = useWords(words);
  return (
    <section>
      <h3>{t.data}</h3>
      <p>{days === null ? t.keptForGood : t.keptDays(days)}</p>
      <p>{profile === "forget" ? t.forgets : t.seals}</p>
    </section>
  );
}

function Checklist({ facilityId }: { facilityId: string }) {
  const t = useWords(words);
  const { data, error, refetch } = useGetChecklistOfQuery({ facilityId });
  return (
    <section>
      <h3>{t.checklist}</h3>
      {error && <ProblemNote problem={error} retry={() => void refetch()} />}
      {!data && !error && <Skeleton lines={4} />}
      {data?.ready && <p>{t.allDone}</p>}
      <ul className="checks">
        {data?.items.map(({ name, done, todo }) => (
          <li key={name}>
            <Tag minimal intent={done ? "success" : "warning"}>
              {done ? t.done : t.todo}
            </Tag>
            {name in t ? t[name as "mail_works"] : name}
            {!done && <span className="quiet">{`${name}_todo` in t ? t[`${name}_todo` as "mail_works_todo"] : todo}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Change({ facility: { id, name, mail_domains: domains } }: { facility: Facility }) {
  const t = useWords(words);
  const [newName, setName] = useState(name);
  const [mail, setMail] = useState(domains.join(", "));
  const [change, { isLoading, error, isSuccess }] = useChangeFacilityMutation();
  const same = newName.trim() === name && domainsOf(mail).join() === domains.join();
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    void change({ facilityId: id, facilityChange: { name: newName.trim(), mail_domains: domainsOf(mail) } });
  };
  return (
    <form onSubmit={submit}>
      <h3>{t.change}</h3>
      <ProblemNote problem={error} />
      <Field label={t.name} value={newName} onValue={setName} required />
      <Field label={t.domains} hint={t.domainsHelp} value={mail} onValue={setMail} />
      <Button type="submit" loading={isLoading} disabled={same || !newName.trim()}>
        {t.save}
      </Button>
      <span role="status">{isSuccess && same && <span className="quiet"> {t.saved}</span>}</span>
    </form>
  );
}

function InviteAdmin({ facilityId }: { facilityId: string }) {
  const t = useWords(words);
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [invite, { isLoading, error, data }] = useInviteFirstAdminMutation();
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    const answer = await invite({ facilityId, firstAdmin: { email: email.trim(), name: name.trim() } });
    if ("error" in answer) return;
    setEmail("");
    setName("");
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      <h3>{t.inviteAdmin}</h3>
      <p className="quiet">{t.inviteHelp}</p>
      <ProblemNote problem={error} />
      <Field label={t.email} type="email" value={email} onValue={setEmail} required />
      <Field label={t.personName} value={name} onValue={setName} required />
      <Button type="submit" loading={isLoading}>
        {t.invite}
      </Button>
      <span role="status">{data && !error && <span className="quiet"> {t.invited(data.email)}</span>}</span>
    </form>
  );
}

/** A reason instead of "are you sure?": the facility's admins read it, and reactivating undoes it. */
function Suspend({ facility: { id, status } }: { facility: Facility }) {
  const t = useWords(words);
  const [reason, setReason] = useState("");
  const [change, { isLoading, error }] = useChangeFacilityMutation();
  const suspended = status === "suspended";
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    const wish = { status: suspended ? ("active" as const) : ("suspended" as const), reason: reason.trim() };
    if (!("error" in (await change({ facilityId: id, facilityChange: wish })))) setReason("");
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      <h3>{suspended ? t.reactivate : t.suspend}</h3>
      <p className="quiet">{suspended ? t.reactivateHelp : t.suspendHelp}</p>
      <ProblemNote problem={error} />
      <Field label={t.reason} hint={t.reasonHelp} value={reason} onValue={setReason} required maxLength={1000} />
      <Button type="submit" intent={suspended ? "success" : "danger"} loading={isLoading} disabled={!reason.trim()}>
        {suspended ? t.reactivate : t.suspend}
      </Button>
    </form>
  );
}
