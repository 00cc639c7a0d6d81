import { Button, Dialog, DialogBody } from "@blueprintjs/core";
import { useState } from "react";

import { useAddTotpMutation } from "../../api/api";
import type { FurtherEnrolment } from "../../api/generated";
import { Field } from "../../parts/Field";
import { useTell } from "../../parts/useTell";
import { useWords } from "../../words/words";
import { AppForm } from "../secondfactor/AppForm";
import { words } from "./words";

export function FurtherApp({ app, onClose }: { app: FurtherEnrolment; onClose: () => void }) {
  const t = useWords(words);
  const tell = useTell();
  const [name, setName] = useState(t.app);
  const [add] = useAddTotpMutation();
  const check = async (code: string) => {
    const { factor_token } = app;
    await add({ furtherConfirm: { factor_token, code, name: name.trim() || null } }).unwrap();
    onClose();
    tell.done(t.appAdded);
  };
  return (
    <Dialog isOpen title={t.addApp} isCloseButtonShown={false} canOutsideClickClose={false} onClose={onClose}>
      <DialogBody>
        <AppForm app={app} onCode={check}>
          <Field label={t.name} hint={t.nameHint} maxLength={200} value={name} onValue={setName} />
        </AppForm>
        <p className="links">
          <Button variant="minimal" onClick={onClose}>
            {t.cancel}
          </Button>
        </p>
      </DialogBody>
    </Dialog>
  );
}
