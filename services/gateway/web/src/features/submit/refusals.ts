/** Reasons of the server's (docs/refusals.md) in German; in English, and where one isn't here, its own sentence is shown. */
import type { Language } from "../../words/words";

const GERMAN: Record<string, string> = {
  gone: "Die Datei liegt nicht mehr so da, wie sie gesendet wurde. Senden Sie sie noch einmal.",
  empty: "Die Datei ist leer.",
  not_dicom: "Das ist keine DICOM-Datei.",
  truncated: "Die Datei endet zu früh: Ein Teil ging verloren. Exportieren Sie sie noch einmal.",
  malformed: "Die Datei bricht DICOM-Regeln und kann nicht sicher gelesen werden. Exportieren Sie sie noch einmal.",
  unreadable: "Das Lesen dieser Datei scheiterte; vielleicht ist sie beschädigt. Exportieren Sie sie noch einmal.",
  timeout: "Das Lesen dieser Datei dauerte zu lange und wurde abgebrochen. Vielleicht ist sie beschädigt.",
  memory: "Diese Datei braucht mehr Speicher, als ein solches Bild brauchen darf. Vielleicht ist sie beschädigt.",
  too_large: "Das Bild ist größer, als angenommen wird.",
  size_mismatch: "Bildgröße und Datenmenge passen nicht zusammen. Exportieren Sie es noch einmal.",
  no_pixel_data: "Die Datei enthält kein Bild.",
  unsupported_transfer_syntax:
    "Das Bild ist auf eine Weise komprimiert, die hier nicht gelesen wird. Exportieren Sie es unkomprimiert oder als JPEG 2000.",
  undecodable: "Die komprimierten Bilddaten sind beschädigt. Exportieren Sie das Bild noch einmal.",
  not_ct: "Das ist kein CT-Bild.",
  structured_report: "Das ist ein Bericht, etwa über Dosis oder Befunde, kein Bild.",
  radiotherapy: "Das gehört zur Strahlentherapie (Strukturen, Plan oder Dosis) und ist kein CT-Bild.",
  annotation: "Das ist eine Markierung oder Darstellung anderer Bilder, kein CT-Bild.",
  document: "Das ist ein Dokument in einer DICOM-Datei, kein Bild.",
  dicomdir: "Das ist das Inhaltsverzeichnis eines Datenträgers und enthält kein Bild. Senden Sie den Ordner dazu.",
  not_hu: "Die Werte sind keine Hounsfield-Einheiten, sondern etwa eine Karte der Perfusion oder eines Materials.",
  enhanced: "Die Bilder dieser CT-Datei lassen sich nicht auseinanderhalten. Exportieren Sie sie einzeln.",
  secondary_capture: "Das ist ein Bildschirmfoto, auf dem Namen stehen können; es wird nicht angenommen.",
  localizer: "Das ist eine Übersichtsaufnahme (Localizer, Scout), keine Schicht.",
  burned_in: "In dem Bild könnte ein Name oder anderer Text stehen; darum wird es zurückgehalten.",
  bad_uid: "Die Kennung von Studie, Serie oder Bild fehlt oder ist ungültig.",
  no_geometry: "Die Datei sagt nicht, wo im Körper die Schicht liegt oder wie groß ihre Bildpunkte sind.",
  odd_slice: "Die Schicht hat eine andere Größe oder Richtung als der Rest ihrer Serie.",
  duplicate: "Dasselbe Bild kam zweimal; eines wurde behalten.",
  mixed_patients: "Die Dateien dieser Studie nennen verschiedene Patienten; darum wird keine angenommen.",
  other_study: "Das Bild gehört zu einer anderen Studie als der, zu der es gesendet wurde.",
  nothing_accepted: "Keine der Dateien konnte angenommen werden; die Gründe stehen unten.",
  storage_quota_reached: "Der Speicher Ihrer Einrichtung reicht dafür nicht; es wurde nichts übernommen. Löschen Sie Studien und senden Sie es noch einmal.",
  study_quota_reached: "Ihre Einrichtung darf nicht so viele Studien behalten; es wurde nichts übernommen. Löschen Sie Studien und senden Sie es noch einmal.",
  import_failed: "Die Aufnahme scheiterte mehrmals. Die Dateien bleiben zwei Tage; sagen Sie es der Person, die CoDetect betreut.",
};

export function reasonInWords(code: string, detail: string, language: Language): string {
  return (language === "de" && GERMAN[code]) || detail || code;
}
