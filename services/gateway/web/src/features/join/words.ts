import { catalogue } from "../../words/words";

export const words = catalogue(
  {
    title: "Welcome",
    intro: "Two steps: a password now, then a second factor on your phone or computer.",
    terms: "Terms of use",
    agree: "I have read the terms and agree",
    next: "Next: second factor",
    incomplete: "The link is incomplete. Copy all of it from the mail, or ask an admin to send the invitation again.",
  },
  {
    title: "Willkommen",
    intro: "Zwei Schritte: jetzt ein Passwort, dann ein zweiter Faktor auf Ihrem Telefon oder Rechner.",
    terms: "Nutzungsbedingungen",
    agree: "Ich habe die Bedingungen gelesen und stimme zu",
    next: "Weiter: zweiter Faktor",
    incomplete:
      "Der Link ist unvollständig. Kopieren Sie ihn ganz aus der Mail, oder bitten Sie die Verwaltung um eine neue Einladung.",
  },
);
