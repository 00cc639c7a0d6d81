import { catalogue } from "../../words/words";

export const words = catalogue(
  {
    title: "Request access",
    intro: "You confirm your address, then the facility's admins decide. Both reach you by mail.",
    name: "Your name",
    email: "E-mail address at work",
    role: "You want to",
    member: "submit and read studies",
    viewer: "read results only",
    admin: "administer the facility too",
    reason: "Why you need access",
    reasonHint: "The admins read this. Name no patients.",
    send: "Send request",
    login: "I have an account: log in",
    sent: "Look into your mailbox",
    sentHelp: (email: string) =>
      `If ${email} can have access here, a link is on its way. Open it within 24 hours to confirm the address.`,
  },
  {
    title: "Zugang anfragen",
    intro: "Sie bestätigen Ihre Adresse, dann entscheidet die Verwaltung der Einrichtung. Beides kommt per Mail.",
    name: "Ihr Name",
    email: "Dienstliche E-Mail-Adresse",
    role: "Sie möchten",
    member: "Studien einsenden und lesen",
    viewer: "nur Ergebnisse lesen",
    admin: "auch die Einrichtung verwalten",
    reason: "Wofür Sie Zugang brauchen",
    reasonHint: "Das liest die Verwaltung. Nennen Sie keine Patientinnen oder Patienten.",
    send: "Anfrage senden",
    login: "Ich habe ein Konto: anmelden",
    sent: "Sehen Sie in Ihr Postfach",
    sentHelp: (email) =>
      `Wenn ${email} hier Zugang bekommen kann, ist ein Link unterwegs. Öffnen Sie ihn binnen 24 Stunden, um die Adresse zu bestätigen.`,
  },
);
