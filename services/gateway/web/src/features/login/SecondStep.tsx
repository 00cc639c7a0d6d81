import { Button } from "@blueprintjs/core";
import { Key } from "@blueprintjs/icons";
import { type SyntheticEvent, useState } from "react";

import { useGiveSecondFactorMutation } from "../../api/api";
import type { SecondStep as Step } from "../../api/generated";
import { Heading } from "../../parts/Heading";
import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import { CodeField } from "../wayin/CodeField";
import { usePasskeyLogin } from "./usePasskeyLogin";
import { words } from "./words";

type Method = NonNullable<Step["methods"]>[number];

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
  const [method, setMethod] = useState(methods[0] ?? "totp");
  const [code, setCode] = useState("");
  const [give, { isLoading, error, reset }] = useGiveSecondFactorMutation();
  const passkey = usePasskeyLogin(onDone, token);

  const choose = (other: Method) => {
    setMethod(other);
    setCode("");
    reset();
    passkey.reset();
  };
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    if (method === "passkey") {
      await passkey.start();
      return;
    }
    const answer = await give({ mfa: { mfa_token: token, method, code } });
    if (!answer.error) await onDone();
    else setCode("");
  };
  const titles = { totp: t.totp, passkey: t.passkey, recovery_code: t.recovery };

  return (
    <>
      <Heading>{t.second}</Heading>
      <form onSubmit={(event) => void submit(event)}>
        <ProblemNote problem={method === "passkey" ? passkey.problem : error} />
        {method === "totp" && <CodeField label={t.code} hint={t.codeHint} value={code} onValue={setCode} />}
        {method === "recovery_code" && (
          <CodeField key="recovery" recovery label={t.recoveryCode} hint={t.recoveryHint} value={code} onValue={setCode} />
        )}
        {method === "passkey" && <p>{t.passkeyHint}</p>}
        <Button
          type="submit"
          intent="primary"
          size="large"
          fill
          icon={method === "passkey" ? <Key /> : undefined}
          loading={isLoading || passkey.busy}
        >
          {method === "passkey" ? t.usePasskey : t.logIn}
        </Button>
      </form>
      <p className="links">
        {methods
          .filter((other) => other !== method)
          .map((other) => (
            <Button key={other} variant="minimal" intent="primary" onClick={() => choose(other)}>
              {titles[other]}
            </Button>
          ))}
        <Button variant="minimal" onClick={onBack}>
          {t.back}
        </Button>
      </p>
    </>
  );
}
