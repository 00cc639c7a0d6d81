import { Callout } from "@blueprintjs/core";

import type { AnalysisOut } from "../../api/generated";
import { useLanguage, useWords } from "../../words/words";
import { inWords } from "./reasons";
import { words } from "./words";

/** What makes the result weaker than its numbers look. */
export function Warnings({ analysis: { warnings } }: { analysis: AnalysisOut }) {
  const t = useWords(words);
  const language = useLanguage();
  if (warnings.length === 0) return null;
  const serious = warnings.some(({ code }) => code === "out_of_distribution" || code === "little_lung");
  return (
    <Callout compact intent={serious ? "danger" : "warning"} title={t.warnings} className="warnings">
      <ul>
        {warnings.map((warning) => (
          <li key={warning.code}>{inWords(warning, language)}</li>
        ))}
      </ul>
    </Callout>
  );
}
