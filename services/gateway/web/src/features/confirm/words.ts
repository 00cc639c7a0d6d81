import { catalogue } from "../../words/words";

export const words = catalogue(
  {
    title: "Confirm your address",
    intro: "One click, and your request goes to the facility's admins.",
    confirm: "Confirm",
    confirmed: "Address confirmed",
    waiting: "The admins have been told. You get mail when they have decided.",
    invited: "You have been invited already: the link to come in lies in your mailbox.",
    member: "You have an account here already.",
    login: "Log in",
    incomplete: "The link is incomplete. Copy all of it from the mail, or ask again.",
    again: "Request access again",
  },
  {
    title: "Adresse bestätigen",
    intro: "Ein Klick, und Ihre Anfrage geht an die Verwaltung der Einrichtung.",
    confirm: "Bestätigen",
    confirmed: "Adresse bestätigt",
    waiting: "Die Verwaltung weiß Bescheid. Sie bekommen eine Mail, wenn entschieden ist.",
    invited: "Sie sind schon eingeladen: Der Link dazu liegt in Ihrem Postfach.",
    member: "Sie haben hier schon ein Konto.",
    login: "Anmelden",
    incomplete: "Der Link ist unvollständig. Kopieren Sie ihn ganz aus der Mail, oder fragen Sie noch einmal an.",
    again: "Noch einmal Zugang anfragen",
  },
);
