import { Button } from "@blueprintjs/core";

import { useGiveSecondFactorMutation } from "../../api/api";
import { Heading } from "../../parts/Heading";
import { useWords } from "../../words/words";
import { FactorForm, type Method } from "../wayin/FactorForm";
import { usePasskeyLogin } from "./usePasskeyLogin";
import { words } from "./words";

export interface Second {
  token: string;
  methods: Method[];
}

interface Props {
  second: Second;
  onBack: () => void;
  onDone: () => Promise<void>;
}

export function SecondStep({ second: { token, methods }, onBack, onDone }: Props) {
  const t = useWords(words);
  const [give] = useGiveSecondFactorMutation();
  const logInWithPasskey = usePasskeyLogin(token);
  return (
    <>
      <Heading>{t.second}</Heading>
      <FactorForm
        methods={methods}
        submit={t.logIn}
        onCode={async (method, code) => {
          await give({ mfa: { mfa_token: token, method, code } }).unwrap();
          await onDone();
        }}
        onPasskey={async () => {
          await logInWithPasskey();
          await onDone();
        }}
      >
        <Button variant="minimal" onClick={onBack}>
          {t.back}
        </Button>
      </FactorForm>
    </>
  );
}
