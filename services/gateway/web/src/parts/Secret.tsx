/** What is shown this once: to copy, and then to say that it is kept. */
import { Button, Callout, Dialog, DialogBody, DialogFooter, FormGroup, InputGroup } from "@blueprintjs/core";
import { Duplicate, Tick } from "@blueprintjs/icons";
import { type ReactNode, useId, useState } from "react";

import { catalogue, useWords } from "../words/words";

const words = catalogue(
  {
    once: "The secret is shown this once. Keep it where only the program can read it.",
    copy: (what: string) => `Copy: ${what}`,
    kept: "I have kept it",
  },
  {
    once: "Das Geheimnis wird nur jetzt gezeigt. Bewahren Sie es dort auf, wo nur das Programm es lesen kann.",
    copy: (what) => `Kopieren: ${what}`,
    kept: "Ich habe es aufbewahrt",
  },
);

interface Props {
  title: string;
  /** What each is called, and what it is. */
  values: Record<string, string>;
  children?: ReactNode;
  onClose: () => void;
}

export function SecretOnce({ title, values, children, onClose }: Props) {
  const t = useWords(words);
  const done = (
    <Button intent="primary" onClick={onClose}>
      {t.kept}
    </Button>
  );
  return (
    <Dialog isOpen title={title} isCloseButtonShown={false} canOutsideClickClose={false} canEscapeKeyClose={false}>
      <DialogBody>
        <Callout compact intent="warning" className="problem">
          {t.once}
        </Callout>
        {Object.entries(values).map(([label, value]) => (
          <Copyable key={label} label={label} value={value} />
        ))}
        {children}
      </DialogBody>
      <DialogFooter actions={done} />
    </Dialog>
  );
}

function Copyable({ label, value }: { label: string; value: string }) {
  const t = useWords(words);
  const id = useId();
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(value);
    setCopied(true);
  };
  return (
    <FormGroup label={label} labelFor={id}>
      <InputGroup
        id={id}
        readOnly
        fill
        className="code-value"
        value={value}
        onFocus={({ currentTarget }) => currentTarget.select()}
        rightElement={
          <Button
            variant="minimal"
            icon={copied ? <Tick /> : <Duplicate />}
            aria-label={t.copy(label)}
            onClick={() => void copy()}
          />
        }
      />
    </FormGroup>
  );
}
