/** The dialog that asks once more for a second factor; what waits for it goes on by itself (api/proof.ts). */
import { Button, Dialog, DialogBody } from "@blueprintjs/core";

import { useAskToStepUpMutation, useListFactorsQuery, useProveMutation } from "../../api/api";
import type { Factors } from "../../api/generated";
import { proofAnswered } from "../../api/proof";
import { useAppDispatch } from "../../app/store";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useWords } from "../../words/words";
import { FactorForm, type Method } from "../wayin/FactorForm";
import { askPasskey, canUsePasskeys } from "../wayin/passkeys";
import { words } from "./words";

export default function StepUp() {
  const t = useWords(words);
  const dispatch = useAppDispatch();
  const { data: factors, error, refetch } = useListFactorsQuery();
  const [ask] = useAskToStepUpMutation();
  const [prove] = useProveMutation();
  const answer = (given: boolean) => dispatch(proofAnswered(given));

  const cancel = (
    <Button variant="minimal" onClick={() => answer(false)}>
      {t.cancel}
    </Button>
  );
  return (
    <Dialog
      isOpen
      title={t.title}
      className="stepup"
      isCloseButtonShown={false}
      canOutsideClickClose={false}
      onClose={() => answer(false)}
    >
      <DialogBody>
        <p>{t.why}</p>
        {!factors && !error && <Skeleton lines={3} />}
        {!factors && error && (
          <>
            <ProblemNote problem={error} retry={() => void refetch()} />
            {cancel}
          </>
        )}
        {factors && (
          <FactorForm
            methods={methodsOf(factors)}
            submit={t.go}
            onCode={async (method, code) => {
              await prove({ body: { method, code } }).unwrap();
              answer(true);
            }}
            onPasskey={async () => {
              const options = await ask().unwrap();
              await prove({ body: { method: "passkey", credential: await askPasskey(options) } }).unwrap();
              answer(true);
            }}
          >
            {cancel}
          </FactorForm>
        )}
      </DialogBody>
    </Dialog>
  );
}

function methodsOf({ items, recovery_codes_left: left }: Factors): Method[] {
  const kinds = new Set(items.map(({ kind }) => kind));
  const methods: Method[] = [];
  if (kinds.has("totp")) methods.push("totp");
  if (kinds.has("passkey") && canUsePasskeys()) methods.push("passkey");
  if (left > 0) methods.push("recovery_code");
  return methods;
}
