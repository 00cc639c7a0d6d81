import { Button, Dialog, DialogBody, DialogFooter, FormGroup, HTMLSelect } from "@blueprintjs/core";
import { type SyntheticEvent, useId, useState } from "react";

import { Field } from "../../parts/Field";
import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import { useOpenFacilityMutation } from "./api";
import { addressOf, domainsOf } from "./addresses";
import { words } from "./words";

const EMPTY = { slug: "", name: "", domains: "", days: "", profile: "", email: "", person: "" };

export function OpenFacility({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const t = useWords(words);
  const form = useId();
  const [wish, setWish] = useState(EMPTY);
  const [open, { isLoading, error, reset }] = useOpenFacilityMutation();
  const field = (name: keyof typeof EMPTY) => ({ value: wish[name], onValue: (value: string) => setWish({ ...wish, [name]: value }) });
  const close = () => {
    reset();
    onClose();
  };
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    const answer = await open({
      newFacility: {
        slug: wish.slug,
        name: wish.name.trim(),
        mail_domains: domainsOf(wish.domains),
        retention_days: wish.days ? Number(wish.days) : null,
        profile: wish.profile === "forget" ? "forget" : null,
        first_admin: wish.email ? { email: wish.email.trim(), name: wish.person.trim() } : null,
      },
    });
    if ("error" in answer) return;
    setWish(EMPTY);
    close();
  };
  return (
    <Dialog isOpen={isOpen} onClose={close} title={t.openFacility}>
      <DialogBody>
        <form id={form} onSubmit={(event) => void submit(event)}>
          <ProblemNote problem={error} />
          <Field label={t.name} required autoFocus {...field("name")} />
          <Field
            label={t.slug}
            hint={t.slugHelp(addressOf(wish.slug || "…"))}
            required
            pattern="[a-z0-9]([a-z0-9\-]{0,61}[a-z0-9])?"
            {...field("slug")}
          />
          <Field label={t.domains} hint={t.domainsHelp} {...field("domains")} />
          <Field label={t.days} hint={t.daysHelp} type="number" min={1} max={36500} {...field("days")} />
          <FormGroup label={t.identities} labelFor={`${form}-profile`}>
            <HTMLSelect
              id={`${form}-profile`}
              fill
              value={wish.profile}
              onChange={({ currentTarget }) => setWish({ ...wish, profile: currentTarget.value })}
              options={[
                { value: "", label: t.seals },
                { value: "forget", label: t.forgets },
              ]}
            />
          </FormGroup>
          <Field label={t.adminEmail} hint={t.adminHelp} type="email" {...field("email")} />
          <Field label={t.adminName} required={Boolean(wish.email)} {...field("person")} />
        </form>
      </DialogBody>
      <DialogFooter
        actions={
          <>
            <Button onClick={close}>{t.cancel}</Button>
            <Button type="submit" form={form} intent="primary" loading={isLoading}>
              {t.openFacility}
            </Button>
          </>
        }
      />
    </Dialog>
  );
}
