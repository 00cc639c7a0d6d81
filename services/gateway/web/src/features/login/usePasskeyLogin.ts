import { useAskForPasskeyMutation, useLogInWithPasskeyMutation } from "../../api/api";
import { askPasskey } from "../wayin/passkeys";
import { useAttempt } from "../wayin/useAttempt";

/** Log in with a passkey: as the second step with its token, or in place of both. */
export function usePasskeyLogin(onDone: () => Promise<void>, token?: string) {
  const { attempt, busy, problem, reset } = useAttempt();
  const [ask] = useAskForPasskeyMutation();
  const [logIn] = useLogInWithPasskeyMutation();
  const start = async () => {
    const step = token ? { mfa_token: token } : {};
    const inside = await attempt(async () => {
      const options = await ask({ passkeyLoginStart: step }).unwrap();
      await logIn({ passkeyLogin: { ...step, credential: await askPasskey(options) } }).unwrap();
      return true;
    });
    if (inside) await onDone();
  };
  return { start, busy, problem, reset };
}
