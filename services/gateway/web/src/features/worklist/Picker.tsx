/** A button that opens a list of names to pick from, or to write a new one into. */
import { Button, InputGroup, Menu, MenuDivider, MenuItem, PopoverNext } from "@blueprintjs/core";
import { type ComponentProps, type ReactNode, useRef, useState } from "react";

import { useWords } from "../../words/words";
import { words } from "./words";

interface Props {
  label: string;
  icon: ComponentProps<typeof Button>["icon"];
  /** What the line to write into is called. */
  help: string;
  names: readonly string[];
  longest: number;
  open: boolean;
  onOpen: (open: boolean) => void;
  onPick: (name: string) => void;
  /** Further entries, below the names. */
  children?: ReactNode;
}

export function Picker({ label, icon, help, names, longest, open, onOpen, onPick, children }: Props) {
  const t = useWords(words);
  const [typed, setTyped] = useState("");
  const line = useRef<HTMLInputElement>(null);
  const name = typed.trim();
  const matching = names.filter((each) => each.toLocaleLowerCase().includes(name.toLocaleLowerCase()));
  const pick = (picked: string) => {
    onOpen(false);
    onPick(picked);
  };
  const content = (
    <div className="worklist-picker">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (name) pick(name);
        }}
      >
        <InputGroup inputRef={line} aria-label={help} placeholder={help} maxLength={longest} value={typed} onValueChange={setTyped} />
      </form>
      <Menu>
        {matching.map((each) => (
          <MenuItem key={each} text={each} onClick={() => pick(each)} />
        ))}
        {name && !names.includes(name) && <MenuItem text={t.create(name)} onClick={() => pick(name)} />}
        {children && <MenuDivider />}
        {children}
      </Menu>
    </div>
  );
  return (
    <PopoverNext
      content={content}
      isOpen={open}
      onInteraction={onOpen}
      onOpening={() => setTyped("")}
      onOpened={() => line.current?.focus()}
      placement="top-start"
      shouldReturnFocusOnClose
    >
      <Button icon={icon} aria-label={label}>
        <span className="wide-only">{label}</span>
      </Button>
    </PopoverNext>
  );
}
