import { Callout } from "@blueprintjs/core";
import { useEffect, useState } from "react";
import { useSelector } from "react-redux";

import type { RootState } from "../app/store";
import { catalogue, useWords } from "../words/words";

const PATIENCE_MS = 4000;
const words = catalogue(
  { lost: "No connection: what you see may be old. It is tried again all the time." },
  { lost: "Keine Verbindung: Was Sie sehen, kann veraltet sein. Es wird laufend neu versucht." },
);

/** Only when it lasts: a short cut is nobody's business. */
export function Banner() {
  const t = useWords(words);
  const lost = useSelector((state: RootState) => state.live.standing === "lost");
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(lost), lost ? PATIENCE_MS : 0);
    return () => clearTimeout(timer);
  }, [lost]);
  return (
    <div role="status">
      {shown && (
        <Callout intent="warning" compact>
          {t.lost}
        </Callout>
      )}
    </div>
  );
}
