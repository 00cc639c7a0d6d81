/** What the browser is asked for passkeys (WebAuthn Level 3), and its refusals as Problems. */
import type { Credential, NewCredential, PasskeyOptions } from "../../api/generated";
import type { Problem } from "../../api/problems";

export const canUsePasskeys = () => "PublicKeyCredential" in window;

export async function makePasskey({ public_key }: PasskeyOptions): Promise<NewCredential> {
  const options = PublicKeyCredential.parseCreationOptionsFromJSON(
    public_key as unknown as PublicKeyCredentialCreationOptionsJSON,
  );
  return asJson<NewCredential>(navigator.credentials.create({ publicKey: options }));
}

export async function askPasskey({ public_key }: PasskeyOptions): Promise<Credential> {
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(
    public_key as unknown as PublicKeyCredentialRequestOptionsJSON,
  );
  return asJson<Credential>(navigator.credentials.get({ publicKey: options }));
}

async function asJson<T>(asked: Promise<globalThis.Credential | null>): Promise<T> {
  try {
    return ((await asked) as PublicKeyCredential).toJSON() as T;
  } catch (error) {
    throw refusal(error);
  }
}

function refusal(error: unknown): Problem {
  const known = error instanceof DOMException && error.name === "InvalidStateError";
  return known
    ? { type: "passkey-known", status: 0, title: "This device already has a passkey for you." }
    : {
        type: "passkey-cancelled",
        status: 0,
        title: "The browser got no passkey: it was cancelled, took too long, or there is none here yet.",
      };
}
