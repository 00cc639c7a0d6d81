/** All facilities: who they are, what they lack yet; opened, changed and suspended here. */
import { Button, NonIdealState } from "@blueprintjs/core";
import { Plus } from "@blueprintjs/icons";
import { useState } from "react";

import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useWords } from "../../words/words";
import { useListFacilitiesQuery } from "./api";
import { FacilityItem } from "./FacilityItem";
import { OpenFacility } from "./OpenFacility";
import { words } from "./words";

const PART = 50;

export function Facilities() {
  const t = useWords(words);
  const [opening, setOpening] = useState(false);
  const [cursors, setCursors] = useState<(string | undefined)[]>([undefined]);
  return (
    <>
      <div className="bar">
        <p className="quiet">{t.facilitiesHelp}</p>
        <Button intent="primary" icon={<Plus />} onClick={() => setOpening(true)}>
          {t.openFacility}
        </Button>
      </div>
      <OpenFacility isOpen={opening} onClose={() => setOpening(false)} />
      {cursors.map((cursor, at) => (
        <FacilityPart
          key={cursor ?? ""}
          cursor={cursor}
          onMore={at === cursors.length - 1 ? (next) => setCursors([...cursors, next]) : undefined}
        />
      ))}
    </>
  );
}

function FacilityPart({ cursor, onMore }: { cursor: string | undefined; onMore: ((next: string) => void) | undefined }) {
  const t = useWords(words);
  const { data, error, refetch } = useListFacilitiesQuery({ cursor, limit: PART });
  const next = data?.next;
  if (error) return <ProblemNote problem={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={6} />;
  return (
    <>
      {data.items.length === 0 && <NonIdealState title={t.noFacilities} description={t.noFacilitiesHelp} />}
      <ul className="items">
        {data.items.map((facility) => (
          <FacilityItem key={facility.id} facility={facility} />
        ))}
      </ul>
      {next && onMore && <Button onClick={() => onMore(String(next))}>{t.more}</Button>}
    </>
  );
}
