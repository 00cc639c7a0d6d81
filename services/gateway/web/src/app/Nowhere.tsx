import { NonIdealState } from "@blueprintjs/core";
import { Link } from "react-router";

import { useWords } from "../words/words";
import { words } from "./words";

export function Nowhere() {
  const t = useWords(words);
  return <NonIdealState title={t.nowhere} description={t.nowhereHelp} action={<Link to="/">{t.home}</Link>} />;
}
