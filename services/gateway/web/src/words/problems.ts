/** Problems in other languages than the API's. What isn't here is shown in the API's own words. */
import type { Problem } from "../api/problems";
import type { Language } from "./words";

const GERMAN: Record<string, string> = {
  offline: "CoDetect ist nicht erreichbar. Prüfen Sie die Verbindung und versuchen Sie es noch einmal.",
  unexpected: "Etwas ist schiefgegangen. Versuchen Sie es noch einmal.",
  unauthenticated: "Melden Sie sich dafür an.",
  "login-ended": "Diese Anmeldung ist beendet; melden Sie sich neu an.",
  "login-refused": "Die E-Mail-Adresse oder das Passwort stimmt nicht.",
  "code-refused": "Dieser Code stimmt nicht oder wurde schon benutzt.",
  "passkey-refused": "Dieser Passkey passt hier nicht, oder es hat zu lange gedauert; versuchen Sie es noch einmal.",
  "proof-refused": "Dieser Code oder Passkey stimmt nicht oder wurde schon benutzt.",
  "too-many-attempts": "Zu viele Versuche; warten Sie eine Weile und versuchen Sie es dann noch einmal.",
  "too-fast": "Zu viele Anfragen; warten Sie einen Moment.",
  "step-expired": "Dieser Schritt ist abgelaufen; beginnen Sie wieder mit dem Passwort.",
  "password-refused": "Dieses Passwort ist zu leicht zu erraten.",
  "link-gone": "Dieser Link wurde schon benutzt oder ist abgelaufen; fordern Sie einen neuen an.",
  "domain-not-allowed": "Die Einrichtung nimmt keine Adressen dieser Mail-Domain an.",
  "no-requests-here": "Betreiber werden von Betreibern eingeladen; hier kann niemand um Zugang bitten.",
  "terms-changed": "Die Bedingungen haben sich inzwischen geändert; laden Sie die Seite neu und lesen Sie die neuen.",
  "https-needed": "Der Browser behält eine Anmeldung nur über https: Öffnen Sie diese Adresse mit https.",
  "service-unavailable": "Dieser Teil ist gerade nicht erreichbar; versuchen Sie es in einigen Sekunden noch einmal.",
  "part-unavailable": "Ein Teil von CoDetect antwortet gerade nicht; versuchen Sie es in einigen Sekunden noch einmal.",
  "passkey-cancelled": "Der Browser hat keinen Passkey bekommen: abgebrochen, zu spät, oder es gibt hier noch keinen.",
  "step-up-cancelled": "Nichts wurde geändert: Das braucht Ihren zweiten Faktor, und Sie haben abgebrochen.",
  "step-up-required": "Das braucht noch einmal Ihren zweiten Faktor.",
  "last-factor": "Das ist Ihr letzter zweiter Faktor; fügen Sie zuerst einen anderen hinzu.",
  "too-many-factors": "Mehr zweite Faktoren gehen nicht; entfernen Sie zuerst einen.",
  "last-admin": "Das ist die letzte aktive Person in der Verwaltung; geben Sie zuerst einer anderen diese Rolle.",
  "old-password-wrong": "Das jetzige Passwort stimmt nicht.",
  "password-changed-meanwhile": "Das Passwort wurde inzwischen geändert; melden Sie sich neu an.",
  "not-yourself": "Das geht nicht mit Ihnen selbst; bitten Sie jemand anderen aus der Verwaltung.",
  "request-decided": "Über diese Anfrage wurde schon entschieden, oder sie ist abgelaufen.",
  "already-invited": "Für diese Adresse gibt es eine offene Einladung; senden Sie sie neu oder ziehen Sie sie zurück.",
  "invitation-closed": "Diese Einladung wurde angenommen oder zurückgezogen.",
  "person-exists": "Jemand mit dieser E-Mail-Adresse gehört schon dazu.",
  "too-many-endpoints": "Eine Einrichtung hat höchstens 20 Webhooks; entfernen Sie zuerst einen.",
  "endpoint-not-found": "Diesen Webhook gibt es nicht.",
  "still-under-way": "Diese Zustellung ist schon unterwegs.",
  "body-forgotten": "Wovon diese Zustellung handelte, ist gelöscht: Es gibt nichts mehr zu senden.",
  "audit-unavailable": "Das Protokoll ist gerade nicht erreichbar; ohne Protokoll wird nichts gezeigt. Versuchen Sie es bald noch einmal.",
  "passkey-known": "Dieses Gerät hat schon einen Passkey für Sie.",
  forbidden: "Ihre Rolle erlaubt das nicht.",
  "not-found": "Hier ist nichts.",
  "holds-identifier": "Der Text enthält offenbar etwas, was einen Patienten nennt. Lassen Sie es weg; behalten wurde nichts.",
  "upload-not-found": "Diesen Upload gibt es nicht.",
  "send-anew": "Dieser Upload nimmt nichts mehr an. Senden Sie noch einmal von vorn.",
  "store-unreachable": "Der Bildspeicher ist von diesem Browser aus nicht erreichbar. Versuchen Sie es später, oder sagen Sie es der Person, die CoDetect betreut.",
  "store-refused": "Der Bildspeicher hat eine Datei abgelehnt. Versuchen Sie es noch einmal.",
  "file-too-large": "Eine der Dateien ist größer, als angenommen wird.",
  "too-many-files": "So viele Dateien nimmt ein Upload nicht. Lassen Sie Studien weg und senden Sie sie danach.",
  "too-many-bytes": "Das ist mehr, als ein Upload nimmt. Lassen Sie Studien weg und senden Sie sie danach.",
  "storage-quota-reached": "Der Speicher der Einrichtung ist voll. Wenden Sie sich an Ihre Administration.",
  "study-quota-reached": "Die Einrichtung hat so viele Studien, wie sie haben darf. Wenden Sie sich an Ihre Administration.",
  "too-many-jobs": "Es warten schon zu viele Uploads. Versuchen Sie es in einer Minute noch einmal.",
  "facility-is-suspended": "Diese Einrichtung ist gesperrt: Zurzeit wird nichts angenommen.",
  "wrong-state": "In ihrem jetzigen Stand geht das nicht.",
  "view-name-taken": "Sie haben schon eine Ansicht mit diesem Namen.",
  "too-many-views": "Sie können 50 Ansichten behalten; entfernen Sie zuerst eine.",
  "too-many-tags": "Eine Analyse hat höchstens 20 Schlagwörter; nehmen Sie zuerst eines weg.",
  "analysis-not-found": "Diese Analyse gibt es nicht mehr.",
};
const ENGLISH: Record<string, string> = {
  offline: "CoDetect can't be reached. Check the connection, then try again.",
  unexpected: "Something went wrong. Try again.",
};

/** One or two sentences for a person. A detail of the API's goes along where it was not translated. */
export function inWords(problem: Problem, language: Language): string {
  const known = (language === "de" ? GERMAN : ENGLISH)[problem.type];
  if (known) return known;
  return problem.detail && problem.detail !== problem.title ? `${problem.title} ${problem.detail}` : problem.title;
}
