/** What the API will refuse in a free text, told as one types: as shared/codetect_shared/identifiers.py has it, which decides. */
const W = String.raw`[\p{L}\p{N}_]`;
const YEAR = String.raw`(?:19|20)\d\d`;
const MONTH = `(?:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)${W}*\\.?`;
/** No letter, digit or `_` before or after: `\b` of JavaScript knows ASCII alone. */
const [BEGIN, END] = [`(?<!${W})`, `(?!${W})`];

export type Identifier = "dicomName" | "person" | "date" | "email" | "uid" | "telephone" | "patientNumber" | "longNumber";

const LOOKS_LIKE: [Identifier, RegExp[]][] = [
  ["dicomName", [new RegExp(`${W}\\^+${W}`, "u")]],
  [
    "person",
    [
      new RegExp(`${BEGIN}(?:[Mm][Rr]|[Mm][Rr][Ss]|[Mm][Ss]|[Mm]iss|[Hh]errn?|[Ff]rau|[Mm]onsieur|[Mm]adame)${END}\\.?\\s+(?![a-z])\\p{L}${W}+`, "u"),
      new RegExp(`${BEGIN}(?:patient(?:in)?|name)\\s*:\\s*${W}`, "iu"),
    ],
  ],
  [
    "date",
    [
      new RegExp(`(?<!\\d)(?:${YEAR}([-./])\\d{1,2}\\1\\d{1,2}|\\d{1,2}([-./])\\s?\\d{1,2}\\2\\s?${YEAR}|${YEAR}[01]\\d[0-3]\\d)(?!\\d)`, "u"),
      new RegExp(`${BEGIN}(?:\\d{1,2}(?:st|nd|rd|th|\\.)?\\s?${MONTH}|${MONTH}\\s?\\d{1,2}(?:st|nd|rd|th)?,?)\\s?${YEAR}${END}`, "iu"),
    ],
  ],
  ["email", [/[^\s@]+@[^\s@]+\.[\p{L}\p{N}_]/u]],
  ["uid", [/(?<![\d.])\d+(?:\.\d+){4,}/u]],
  ["telephone", [/\+\d[\d ()/-]{6,}\d/u]],
  ["patientNumber", [new RegExp(`${BEGIN}(?:mrn|pid|dob|ssn|patient\\s?id|accession|geb)${END}\\.?\\s*[:#=]?\\s*${W}*\\d`, "iu")]],
  ["longNumber", [/(?<!\d)\d{6,}(?!\d)/u]],
];
const UUID = /\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi;

export function identifierIn(text: string): Identifier | undefined {
  const rest = text.replaceAll(UUID, "");
  return LOOKS_LIKE.find(([, patterns]) => patterns.some((pattern) => pattern.test(rest)))?.[0];
}
