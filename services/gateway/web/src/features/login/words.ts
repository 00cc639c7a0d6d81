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
    stillIn: "You may still be logged in: the server didn't answer. Try again before you leave this computer to somebody else.",
    logOutAgain: "Log out",
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
    stillIn: "Vielleicht sind Sie noch angemeldet: Der Server hat nicht geantwortet. Versuchen Sie es noch einmal, bevor Sie diesen Rechner anderen überlassen.",
    logOutAgain: "Abmelden",
  },
);
