import { catalogue } from "../../words/words";

export const words = catalogue(
  {
    title: "Log in",
    email: "E-mail address",
    password: "Password",
    next: "Next",
    or: "or",
    passkeyAlone: "Log in with a passkey",
    forgotten: "Forgotten your password?",
    request: "Request access",
    second: "Confirm that it's you",
    logIn: "Log in",
    back: "Back",
  },
  {
    title: "Anmelden",
    email: "E-Mail-Adresse",
    password: "Passwort",
    next: "Weiter",
    or: "oder",
    passkeyAlone: "Mit Passkey anmelden",
    forgotten: "Passwort vergessen?",
    request: "Zugang anfragen",
    second: "Bestätigen Sie, dass Sie es sind",
    logIn: "Anmelden",
    back: "Zurück",
  },
);
