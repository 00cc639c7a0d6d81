import { Button, Dialog, DialogBody, DialogFooter } from "@blueprintjs/core";
import { type ReactNode, type SyntheticEvent, useId } from "react";

import { useAttempt } from "../features/wayin/useAttempt";
import { catalogue, useWords } from "../words/words";
import { ProblemNote } from "./ProblemNote";

const words = catalogue({ cancel: "Cancel" }, { cancel: "Abbrechen" });

interface Props {
  title: string;
  /** What the button says that does it. */
  go: string;
  danger?: boolean;
  ready?: boolean;
  /** Throws a Problem; closes the dialog by `onClose` where it is done with. */
  onGo: () => Promise<unknown>;
  onClose: () => void;
  children: ReactNode;
}

/** A dialog that asks for what something takes, or whether to do what nothing brings back. */
export function Ask({ title, go, danger = false, ready = true, onGo, onClose, children }: Props) {
  const t = useWords(words);
  const form = useId();
  const { attempt, busy, problem } = useAttempt();
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    void attempt(onGo);
  };
  const actions = (
    <>
      <Button onClick={onClose}>{t.cancel}</Button>
      <Button type="submit" form={form} intent={danger ? "danger" : "primary"} loading={busy} disabled={!ready}>
        {go}
      </Button>
    </>
  );
  return (
    <Dialog isOpen title={title} isCloseButtonShown={false} canOutsideClickClose={false} onClose={onClose}>
      <DialogBody>
        <form id={form} onSubmit={submit}>
          <ProblemNote problem={problem} />
          {children}
        </form>
      </DialogBody>
      <DialogFooter actions={actions} />
    </Dialog>
  );
}
