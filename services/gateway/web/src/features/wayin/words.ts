import { catalogue } from "../../words/words";

export const factorWords = catalogue(
  {
    code: "Code from your authenticator app",
    codeHint: "Six digits; a new code comes every half minute.",
    recoveryCode: "Recovery code",
    recoveryHint: "One of those you saved. Each works once.",
    passkeyHint: "Your device asks for your finger, face or PIN.",
    usePasskey: "Use passkey",
    totp: "Use a code from the app",
    passkey: "Use a passkey",
    recovery: "Use a recovery code",
  },
  {
    code: "Code aus Ihrer Authenticator-App",
    codeHint: "Sechs Ziffern; jede halbe Minute kommt ein neuer Code.",
    recoveryCode: "Wiederherstellungscode",
    recoveryHint: "Einer der Codes, die Sie aufbewahrt haben. Jeder gilt einmal.",
    passkeyHint: "Ihr Gerät fragt nach Finger, Gesicht oder PIN.",
    usePasskey: "Passkey verwenden",
    totp: "Code aus der App verwenden",
    passkey: "Passkey verwenden",
    recovery: "Wiederherstellungscode verwenden",
  },
);
