/** Files by the reason why they aren't where the others are. */
import { Button, Collapse } from "@blueprintjs/core";
import { ChevronDown, ChevronUp } from "@blueprintjs/icons";
import { type ReactNode, useId, useState } from "react";

import { useWords } from "../../words/words";
import { words } from "./words";

const SHOWN = 20;

interface Props {
  title: string;
  /** Names, by the reason in words. */
  byReason: ReadonlyMap<string, readonly string[]>;
  /** Whether they show without being asked for. */
  open: boolean;
  children?: ReactNode;
}

export function Files({ title, byReason, open: atFirst, children }: Props) {
  const t = useWords(words);
  const id = useId();
  const [open, setOpen] = useState(atFirst);
  return (
    <section className="files" aria-label={title}>
      <h2>
        <Button
          variant="minimal"
          fill
          alignText="start"
          aria-expanded={open}
          aria-controls={id}
          endIcon={open ? <ChevronUp /> : <ChevronDown />}
          onClick={() => setOpen(!open)}
        >
          {title}
        </Button>
      </h2>
      <Collapse isOpen={open} keepChildrenMounted transitionDuration={0}>
        <div id={id} className="files-body">
          {[...byReason].map(([reason, names]) => (
            <div key={reason} className="aside">
              <strong>{reason}</strong> <span className="quiet">({names.length})</span>
              <ul>
                {names.slice(0, SHOWN).map((name) => (
                  <li key={name}>{name}</li>
                ))}
                {names.length > SHOWN && <li className="quiet">{t.andMore(names.length - SHOWN)}</li>}
              </ul>
            </div>
          ))}
          {children}
        </div>
      </Collapse>
    </section>
  );
}

export function grouped<T>(some: readonly T[], reasonOf: (one: T) => string, nameOf: (one: T) => string): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const one of some) {
    const reason = reasonOf(one);
    groups.set(reason, [...(groups.get(reason) ?? []), nameOf(one)]);
  }
  return groups;
}
