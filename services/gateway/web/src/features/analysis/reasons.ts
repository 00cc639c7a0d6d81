/** Why an analysis failed, what to do about it, and what to know before relying on a result: by the API's codes. */
import type { Reason } from "../../api/generated";
import type { Language } from "../../words/words";

type Known = Record<string, Record<Language, string>>;

const DETAILS: Record<string, string> = {
  no_model: "Auf dieser Plattform ist noch kein Modell registriert.",
  unknown_model: "Auf dieser Plattform ist kein Modell dieses Namens registriert.",
  no_usable_series: "Keine Serie der Studie ist ein axiales CT; dieses Modell liest nur axiale Schichten.",
  no_lung: "Keine Schicht dieser Studie zeigt Lunge; für dieses Modell gibt es nichts zu lesen.",
  volume_missing: "Die Bilder der Studie sind nicht mehr gespeichert.",
  volume_unreadable: "Die gespeicherten Bilder der Studie sind beschädigt.",
  model_unusable: "Die Dateien des Modells fehlen oder sind beschädigt.",
  gave_up: "Die Analyse wurde mehrmals ohne Erfolg versucht.",
  out_of_distribution:
    "Diese Bilder gleichen denen nicht, aus denen das Modell gelernt hat: Verlassen Sie sich nicht auf dieses Ergebnis.",
  little_lung:
    "Keine Schicht zeigt deutlich Lunge, nur die Atemwege: Verlassen Sie sich nicht auf dieses Ergebnis.",
  few_slices: "Nur wenige Schichten wurden gelesen; mit mehr ist ein Ergebnis beständiger.",
  missing_slices: "In der Serie fehlen Schichten: Was dort liegt, wurde nicht gesehen.",
  overlapping_phases: "Schichten liegen an derselben Stelle, wie bei mehreren Phasen: Jede zählt einzeln.",
};

const ADVICE: Known = {
  no_model: {
    en: "Ask the operator to register and activate a model, then run it.",
    de: "Bitten Sie den Betrieb, ein Modell zu registrieren und zu aktivieren; führen Sie es dann aus.",
  },
  unknown_model: {
    en: "Ask for the analysis with a model that is in service.",
    de: "Fordern Sie die Analyse mit einem Modell an, das im Dienst ist.",
  },
  no_usable_series: {
    en: "Send an axial chest CT of this study; it is analysed by itself.",
    de: "Schicken Sie ein axiales Thorax-CT dieser Studie; es wird von selbst analysiert.",
  },
  no_lung: {
    en: "Check that it is the right study, and that its chest series was sent along.",
    de: "Prüfen Sie, ob es die richtige Studie ist und ob ihre Thorax-Serie mitgeschickt wurde.",
  },
  volume_missing: { en: "Send the study again.", de: "Schicken Sie die Studie noch einmal." },
  volume_unreadable: { en: "Send the study again.", de: "Schicken Sie die Studie noch einmal." },
  model_unusable: {
    en: "Tell the operator; once the model is registered again, run the analysis again.",
    de: "Sagen Sie es dem Betrieb; ist das Modell wieder registriert, führen Sie die Analyse noch einmal aus.",
  },
  gave_up: {
    en: "Run it again; if it fails once more, tell the operator.",
    de: "Führen Sie sie noch einmal aus; scheitert sie wieder, sagen Sie es dem Betrieb.",
  },
};

export function inWords({ code, detail }: Reason, language: Language): string {
  return language === "de" ? (DETAILS[code] ?? detail) : detail;
}

export function advice(code: string, language: Language): string | undefined {
  return ADVICE[code]?.[language];
}
