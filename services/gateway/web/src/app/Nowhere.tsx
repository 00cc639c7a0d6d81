import { Link } from "react-router";

import { Heading } from "../parts/Heading";
import { useWords } from "../words/words";
import { words } from "./words";

export function Nowhere() {
  const t = useWords(words);
  return <Dead title={t.nowhere} help={t.nowhereHelp} />;
}

/** Behind a wall of roles. */
export function NotAllowed() {
  const t = useWords(words);
  return <Dead title={t.notAllowed} help={t.notAllowedHelp} />;
}

/** Where it doesn't go on. */
function Dead({ title, help }: { title: string; help: string }) {
  const t = useWords(words);
  return (
    <div className="dead">
      <Heading>{title}</Heading>
      <p>{help}</p>
      <Link to="/">{t.home}</Link>
    </div>
  );
}
