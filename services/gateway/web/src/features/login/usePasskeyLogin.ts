import { useAskForPasskeyMutation, useLogInWithPasskeyMutation } from "../../api/api";
import { askPasskey } from "../wayin/passkeys";

/** Log in with a passkey: as the second step with its token, or in place of both. Throws a Problem. */
export function usePasskeyLogin(token?: string): () => Promise<void> {
  const [ask] = useAskForPasskeyMutation();
  const [logIn] = useLogInWithPasskeyMutation();
  return async () => {
    const step = token ? { mfa_token: token } : {};
    const options = await ask({ passkeyLoginStart: step }).unwrap();
    await logIn({ passkeyLogin: { ...step, credential: await askPasskey(options) } }).unwrap();
  };
}
