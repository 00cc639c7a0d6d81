import { Callout } from "@blueprintjs/core";
import { useEffect, useState } from "react";
import { useSelector } from "react-redux";

import type { RootState } from "../app/store";
import { catalogue, useWords } from "../words/words";

const PATIENCE_MS = 4000;
const words = catalogue(
  {
    lost: "No connection: what you see may be old. It is tried again all the time.",
    refused: "This page is no longer told what happens: load it again to see what is new.",
  },
  {
    lost: "Keine Verbindung: Was Sie sehen, kann veraltet sein. Es wird laufend neu versucht.",
    refused: "Diese Seite erfährt nicht mehr, was geschieht: Laden Sie sie neu, um zu sehen, was es Neues gibt.",
  },
);

/** Only when it lasts: a short cut is nobody's business. */
export function Banner() {
  const t = useWords(words);
  const standing = useSelector((state: RootState) => state.live.standing);
  const lost = standing === "lost" || standing === "refused";
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(lost), lost ? PATIENCE_MS : 0);
    return () => clearTimeout(timer);
  }, [lost]);
  return (
    <div role="status">
      {shown && (
        <Callout intent="warning" compact>
          {standing === "refused" ? t.refused : t.lost}
        </Callout>
      )}
    </div>
  );
}
