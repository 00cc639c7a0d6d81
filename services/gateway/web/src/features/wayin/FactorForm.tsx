/** A second factor, in the way that somebody has it: a code, a passkey, a recovery code. */
import { Button } from "@blueprintjs/core";
import { Key } from "@blueprintjs/icons";
import { type ReactNode, type SyntheticEvent, useState } from "react";

import type { SecondStep } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import { CodeField } from "./CodeField";
import { useAttempt } from "./useAttempt";
import { factorWords } from "./words";

export type Method = NonNullable<SecondStep["methods"]>[number];
type CodeMethod = Exclude<Method, "passkey">;

interface Props {
  /** Those that somebody has; the first is asked for first. */
  methods: readonly Method[];
  /** Both throw a Problem when it wasn't right. */
  onCode: (method: CodeMethod, code: string) => Promise<void>;
  onPasskey: () => Promise<void>;
  submit: string;
  /** Further ways out, beside those to the other methods. */
  children: ReactNode;
}

export function FactorForm({ methods, onCode, onPasskey, submit, children }: Props) {
  const t = useWords(factorWords);
  const [method, setMethod] = useState(methods[0] ?? "totp");
  const [code, setCode] = useState("");
  const { attempt, busy, problem, reset } = useAttempt();

  const choose = (other: Method) => {
    setMethod(other);
    setCode("");
    reset();
  };
  const give = async (event: SyntheticEvent) => {
    event.preventDefault();
    const right = await attempt(async () => {
      await (method === "passkey" ? onPasskey() : onCode(method, code.trim()));
      return true;
    });
    if (!right) setCode("");
  };
  const others = { totp: t.totp, passkey: t.passkey, recovery_code: t.recovery };

  return (
    <>
      <form onSubmit={(event) => void give(event)}>
        <ProblemNote problem={problem} />
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
          loading={busy}
        >
          {method === "passkey" ? t.usePasskey : submit}
        </Button>
      </form>
      <p className="links">
        {methods
          .filter((other) => other !== method)
          .map((other) => (
            <Button key={other} variant="minimal" intent="primary" onClick={() => choose(other)}>
              {others[other]}
            </Button>
          ))}
        {children}
      </p>
    </>
  );
}
