import { Button, Menu, MenuItem, PopoverNext, Tag } from "@blueprintjs/core";
import { Cross, More } from "@blueprintjs/icons";
import { useState } from "react";

import type { Facility, ModelOut, RolloutOut } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { day } from "../../words/when";
import { useLanguage, useWords } from "../../words/words";
import { useChangeModelMutation, useEndCanaryMutation, useEndShadowMutation } from "./api";
import { Compare } from "./Compare";
import { RollOut, type Wish } from "./RollOut";
import { words } from "./words";

interface Props {
  name: string;
  versions: ModelOut[];
  rollouts: RolloutOut[];
  facilities: Facility[];
}

export function ModelItem({ name, versions, rollouts, facilities }: Props) {
  const t = useWords(words);
  const [wish, setWish] = useState<Wish>();
  const [compared, setCompared] = useState<string>();
  return (
    <li className="item">
      <div className="item-head model-head">
        <h2 className="grow">
          {versions[0]?.title} <span className="quiet">{name}</span>
        </h2>
        <Button onClick={() => setWish({ kind: "rollback", name })}>{t.rollback}</Button>
      </div>
      <ul className="versions">
        {versions.map((model) => (
          <Version
            key={model.version}
            model={model}
            rollouts={rollouts.filter(({ version }) => version === model.version)}
            facilities={facilities}
            onWish={setWish}
            onCompare={() => setCompared(compared === model.version ? undefined : model.version)}
            compared={compared === model.version}
          />
        ))}
      </ul>
      <RollOut wish={wish} facilities={facilities} onClose={() => setWish(undefined)} />
    </li>
  );
}

interface VersionProps {
  model: ModelOut;
  rollouts: RolloutOut[];
  facilities: Facility[];
  onWish: (wish: Wish) => void;
  onCompare: () => void;
  compared: boolean;
}

function Version({ model: { name, version, active, created_at: created, card }, rollouts, facilities, onWish, onCompare, compared }: VersionProps) {
  const t = useWords(words);
  const language = useLanguage();
  const [change, { error, isLoading }] = useChangeModelMutation();
  const menu = (
    <Menu>
      <MenuItem text={t.activate} disabled={!active} onClick={() => onWish({ kind: "active", name, version })} />
      <MenuItem text={t.startShadow} disabled={!active} onClick={() => onWish({ kind: "shadow", name, version })} />
      <MenuItem text={t.startCanary} disabled={!active} onClick={() => onWish({ kind: "canary", name, version })} />
      <MenuItem text={t.compare} onClick={onCompare} />
      <MenuItem
        text={active ? t.takeOut : t.putBack}
        intent={active ? "danger" : "none"}
        onClick={() => void change({ name, version, modelChange: { active: !active } })}
      />
    </Menu>
  );
  return (
    <li>
      <div className="version">
        <strong>{version}</strong>
        {!active && <Tag intent="warning">{t.outOfService}</Tag>}
        <span className="grow rollouts">
          {rollouts.map((rollout) => (
            <Rollout key={`${rollout.kind} ${rollout.facility_id}`} rollout={rollout} facilities={facilities} />
          ))}
        </span>
        <span className="quiet">{card.labels.map(({ title }) => title).join(", ")}</span>
        <time className="quiet" dateTime={created}>
          {day(created, language)}
        </time>
        <PopoverNext content={menu} placement="bottom-end">
          <Button variant="minimal" icon={<More />} loading={isLoading} aria-label={t.actions(`${name} ${version}`)} />
        </PopoverNext>
      </div>
      <ProblemNote problem={error} />
      {compared && <Compare name={name} version={version} facilities={facilities} />}
    </li>
  );
}

/** Where a version takes part; shadows and canaries end here. */
function Rollout({ rollout: { name, version, kind, facility_id: facility, share }, facilities }: { rollout: RolloutOut; facilities: Facility[] }) {
  const t = useWords(words);
  const [endShadow, shadow] = useEndShadowMutation();
  const [endCanary, canary] = useEndCanaryMutation();
  const where = facility === null ? t.everywhere : (facilities.find(({ id }) => id === facility)?.name ?? facility);
  const what = { active: t.active, shadow: t.shadow, canary: t.canary(share ?? 0) }[kind];
  const end = kind === "shadow" ? endShadow : endCanary;
  return (
    <>
      <Tag
        minimal
        intent={kind === "active" ? "success" : "primary"}
        endIcon={
          kind !== "active" && (
            <Button
              variant="minimal"
              size="small"
              icon={<Cross size={12} />}
              loading={shadow.isLoading || canary.isLoading}
              aria-label={t.end(`${what}, ${where}`)}
              onClick={() => void end({ name, version, facilityId: facility ?? undefined })}
            />
          )
        }
      >
        {what} · {where}
      </Tag>
      <ProblemNote problem={shadow.error ?? canary.error} />
    </>
  );
}
