import { useState } from "react";

import { useAskForPasskeyMutation, useLogInWithPasskeyMutation } from "../../api/api";
import { askPasskey } from "../wayin/passkeys";

/** Log in with a passkey: as the second step with its token, or in place of both. */
export function usePasskeyLogin(onDone: () => Promise<void>, token?: string) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const [ask] = useAskForPasskeyMutation();
  const [logIn] = useLogInWithPasskeyMutation();
  const start = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      const step = token ? { mfa_token: token } : {};
      const options = await ask({ passkeyLoginStart: step }).unwrap();
      await logIn({ passkeyLogin: { ...step, credential: await askPasskey(options) } }).unwrap();
    } catch (error) {
      setProblem(error);
      return;
    } finally {
      setBusy(false);
    }
    await onDone();
  };
  return { start, busy, problem, reset: () => setProblem(undefined) };
}
