/** Who a row's patient is, for those with the right. Each look is audited: rows that only fly by aren't asked for. */
import { useState } from "react";

import { useWords } from "../../words/words";
import { useIdentityQuery } from "./api";
import { readableName } from "./names";
import { words } from "./words";

interface Props {
  studyId: string;
  moving: boolean;
}

export function Patient(props: Props) {
  const t = useWords(words);
  const { data, isWaiting, isError } = useIdentity(props);
  if (isWaiting) return <span className="bp6-skeleton wait">&nbsp;</span>;
  if (!data) return <span className="quiet">{isError ? t.identityFailed : t.noIdentity}</span>;
  const name = readableName(data.patient_name);
  return (
    <span title={[name, data.patient_id].filter(Boolean).join(" · ")}>
      {name || (data.patient_id ? "" : t.noIdentity)} <span className="quiet">{data.patient_id}</span>
    </span>
  );
}

/** The accession number where there is one, else how the study is called here. */
export function Accession(props: Props) {
  const { data } = useIdentity(props);
  return data?.accession_number ?? props.studyId.slice(-8);
}

function useIdentity({ studyId, moving }: Props) {
  const [seen, setSeen] = useState(!moving);
  if (!seen && !moving) setSeen(true);
  const { data, isUninitialized, isLoading, isError } = useIdentityQuery(studyId, { skip: !seen });
  return { data, isWaiting: isUninitialized || isLoading, isError };
}
