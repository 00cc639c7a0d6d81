/** Where something is to hold, and for how large a share; then it does. */
import { Button, Dialog, DialogBody, DialogFooter, FormGroup, HTMLSelect } from "@blueprintjs/core";
import { type SyntheticEvent, useId, useState } from "react";

import type { Facility } from "../../api/generated";
import { Field } from "../../parts/Field";
import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import { useActivateModelMutation, useRollBackMutation, useStartCanaryMutation, useStartShadowMutation } from "./api";
import { words } from "./words";

export type Wish =
  | { kind: "active" | "shadow" | "canary"; name: string; version: string }
  | { kind: "rollback"; name: string; version?: undefined };

interface Props {
  wish: Wish | undefined;
  facilities: Facility[];
  onClose: () => void;
}

export function RollOut({ wish, facilities, onClose }: Props) {
  const t = useWords(words);
  const id = useId();
  const [facility, setFacility] = useState("");
  const [share, setShare] = useState("10");
  const [activate, activating] = useActivateModelMutation();
  const [startShadow, shadowing] = useStartShadowMutation();
  const [startCanary, trying] = useStartCanaryMutation();
  const [rollBack, goingBack] = useRollBackMutation();
  const all = [activating, shadowing, trying, goingBack];
  const kind = wish?.kind ?? "active";
  const texts = {
    active: [t.activate, t.activateHelp],
    shadow: [t.startShadow, t.shadowHelp],
    canary: [t.startCanary, t.canaryHelp],
    rollback: [t.rollback, t.rollbackHelp],
  } as const;
  const [title, help] = texts[kind];
  const close = () => {
    for (const { reset } of all) reset();
    setFacility(""); // nothing is rolled out where the last thing was, unseen
    onClose();
  };
  const start = () => {
    const where = { facility_id: facility || null };
    if (!wish) return undefined;
    if (wish.kind === "rollback") return rollBack({ name: wish.name, where });
    const { name, version } = wish;
    if (wish.kind === "active") return activate({ name, version, where });
    if (wish.kind === "shadow") return startShadow({ name, version, where });
    return startCanary({ name, version, canaryWish: { ...where, share: Number(share) } });
  };
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    const answer = await start();
    if (answer && !("error" in answer)) close();
  };
  return (
    <Dialog isOpen={wish !== undefined} onClose={close} title={`${title}: ${wish?.name ?? ""} ${wish?.version ?? ""}`}>
      <DialogBody>
        <form id={id} onSubmit={(event) => void submit(event)}>
          <p>{help}</p>
          <ProblemNote problem={all.map(({ error }) => error).find(Boolean)} />
          <FormGroup label={t.where} labelFor={`${id}-where`}>
            <HTMLSelect
              id={`${id}-where`}
              fill
              value={facility}
              onChange={({ currentTarget }) => setFacility(currentTarget.value)}
              options={[{ value: "", label: t.everywhere }, ...facilities.map(({ id: value, name }) => ({ value, label: name }))]}
            />
          </FormGroup>
          {kind === "canary" && <Field label={t.share} hint={t.shareHelp} type="number" min={0} max={100} required value={share} onValue={setShare} />}
        </form>
      </DialogBody>
      <DialogFooter
        actions={
          <>
            <Button onClick={close}>{t.cancel}</Button>
            <Button type="submit" form={id} intent="primary" loading={all.some(({ isLoading }) => isLoading)}>
              {title}
            </Button>
          </>
        }
      />
    </Dialog>
  );
}
