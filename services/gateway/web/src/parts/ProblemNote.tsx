import { Button, Callout } from "@blueprintjs/core";

import { words } from "../app/words";
import { asProblem } from "../api/problems";
import { inWords } from "../words/problems";
import { useLanguage, useWords } from "../words/words";

/** What went wrong, in words, and the way to try again where there is one. */
export function ProblemNote({ problem, retry }: { problem: unknown; retry?: () => void }) {
  const language = useLanguage();
  const t = useWords(words);
  const known = asProblem(problem);
  return (
    <div role="alert">
      {known && (
        <Callout intent="danger" compact className="problem">
          {inWords(known, language)}
          {known.status >= 500 && known.requestId && <div className="quiet">{t.requestId(known.requestId)}</div>}
          {retry && (
            <div>
              <Button size="small" onClick={retry}>
                {t.again}
              </Button>
            </div>
          )}
        </Callout>
      )}
    </div>
  );
}
