import { catalogue } from "../../words/words";

export const words = catalogue(
  {
    title: "Open a study",
    accession: "Accession number",
    accessionHint: "Needs the right to see who patients are.",
    uid: "StudyInstanceUID",
    open: "Open",
    looking: "Looking for the study",
    several: "Several studies are called so. Which one?",
    none: "No such study",
    noneByAccession: "No study here has this accession number. It may not have been sent yet.",
    noneByUid: "No study here is called so. Its original UID leads here only for those who may see who patients are.",
    unread: "The study is here, but nothing was read from it yet",
    unreadHelp: "As soon as it is read, its analysis stands in the worklist.",
    toWorklist: "To the worklist",
  },
  {
    title: "Studie öffnen",
    accession: "Auftragsnummer",
    accessionHint: "Dafür braucht es das Recht, Patienten zu sehen.",
    uid: "StudyInstanceUID",
    open: "Öffnen",
    looking: "Die Studie wird gesucht",
    several: "Mehrere Studien heißen so. Welche?",
    none: "Keine solche Studie",
    noneByAccession: "Keine Studie hier hat diese Auftragsnummer. Vielleicht wurde sie noch nicht geschickt.",
    noneByUid: "Keine Studie hier heißt so. Ihre ursprüngliche UID führt nur diejenigen hierher, die Patienten sehen dürfen.",
    unread: "Die Studie ist da, aber noch nicht gelesen",
    unreadHelp: "Sobald sie gelesen wird, steht ihre Analyse in der Arbeitsliste.",
    toWorklist: "Zur Arbeitsliste",
  },
);
