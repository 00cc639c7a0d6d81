/** All model versions, and which of them reads what where. */
import { FileInput, NonIdealState } from "@blueprintjs/core";
import { useMemo } from "react";

import type { ModelOut } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useWords } from "../../words/words";
import { useListFacilitiesQuery, useListModelsQuery, useListRolloutsQuery, useUploadModelMutation } from "./api";
import { ModelItem } from "./ModelItem";
import { words } from "./words";

export function Models() {
  const t = useWords(words);
  const { data: models, error, refetch } = useListModelsQuery();
  const { data: rollouts, error: rolloutsError } = useListRolloutsQuery();
  const { data: facilities } = useListFacilitiesQuery({ limit: 200 });
  const names = useMemo(() => byName(models?.items ?? []), [models]);
  return (
    <>
      <Upload />
      <ProblemNote problem={error ?? rolloutsError} retry={() => void refetch()} />
      {!models && !error && <Skeleton lines={8} />}
      {models?.items.length === 0 && <NonIdealState title={t.noModels} description={t.noModelsHelp} />}
      <ul className="items">
        {names.map(([name, versions]) => (
          <ModelItem
            key={name}
            name={name}
            versions={versions}
            rollouts={(rollouts?.items ?? []).filter((each) => each.name === name)}
            facilities={facilities?.items ?? []}
          />
        ))}
      </ul>
    </>
  );
}

function byName(models: readonly ModelOut[]): [string, ModelOut[]][] {
  const names = new Map<string, ModelOut[]>();
  for (const model of models) names.set(model.name, [...(names.get(model.name) ?? []), model]);
  return [...names];
}

function Upload() {
  const t = useWords(words);
  const [upload, { isLoading, error, data }] = useUploadModelMutation();
  return (
    <>
      <div className="bar">
        <p className="quiet">{t.modelsHelp}</p>
        <FileInput
          text={isLoading ? t.uploading : t.upload}
          buttonText={t.browse}
          disabled={isLoading}
          inputProps={{
            accept: ".zip",
            "aria-label": t.upload,
            onChange: ({ currentTarget }) => {
              const file = currentTarget.files?.[0];
              if (file) void upload(file);
              currentTarget.value = "";
            },
          }}
        />
      </div>
      <ProblemNote problem={error} />
      <p role="status" className="quiet">
        {isLoading && t.checking}
        {data && !isLoading && !error && t.registered(data.title, data.version)}
      </p>
    </>
  );
}
