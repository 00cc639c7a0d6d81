/** What the first 64 KB of a file say of it (DICOM PS3.10). Advice to whoever sends it; what is taken is the server's to say. */
import { type DataSet, parseDicom } from "dicom-parser";

export const HEAD_BYTES = 65_536;

/** Why a file stays here; the words of `aside` in words.ts. */
export type Reason =
  | "clutter"
  | "empty"
  | "unreadable"
  | "not_dicom"
  | "dicomdir"
  | "localizer"
  | "not_ct"
  | "burned_in"
  | "nested_zip"
  | "encrypted"
  | "zip_refused";

export interface Patient {
  id: string;
  name: string;
  /** As DICOM writes dates: 19500312. */
  birthDate: string;
  sex: string;
}

/** Where in the hierarchy of patient, study and series a file stands. */
export interface Place {
  patient: Patient;
  study: { uid: string; date: string; description: string; accession: string };
  series: { uid: string; number: string; description: string; modality: string };
}

/** `aside` says why it isn't sent unless somebody wants it; no `place`: the file is for the server to read. */
export interface Look {
  aside?: Reason;
  place?: Place;
}

const PIXEL_DATA = "x7fe00010";
const IMPLICIT = "1.2.840.10008.1.2";
const EXPLICIT = "1.2.840.10008.1.2.1";
const DICOMDIR = "1.2.840.10008.1.3.10";
const CT = new Set(["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"]);
// As services/ingest/codetect_ingest/dicom/reading.py has them.
const LOCALIZER_WORDS = new Set(["LOCALIZER", "SCOUT", "TOPOGRAM"]);
const SCREEN_WORDS = new Set(["SCREEN SAVE", "SCREEN_SAVE", "PASTED", "DOSE_INFO", "DOSE INFO"]);
const CHARACTER_SETS: Record<string, string> = {
  "ISO_IR 192": "utf-8",
  "ISO_IR 101": "iso-8859-2",
  "ISO_IR 109": "iso-8859-3",
  "ISO_IR 110": "iso-8859-4",
  "ISO_IR 144": "iso-8859-5",
  "ISO_IR 127": "iso-8859-6",
  "ISO_IR 126": "iso-8859-7",
  "ISO_IR 138": "iso-8859-8",
  "ISO_IR 148": "windows-1254",
  "ISO_IR 203": "iso-8859-15",
  "ISO_IR 13": "shift_jis",
  "ISO_IR 166": "windows-874",
  "ISO 2022 IR 87": "iso-2022-jp",
  "ISO 2022 IR 149": "euc-kr",
  GB18030: "gb18030",
  GBK: "gbk",
};

export function look(head: Uint8Array): Look {
  const prefixed = String.fromCharCode(...head.subarray(128, 132)) === "DICM";
  if (!prefixed && !isBare(head)) return { aside: "not_dicom" };
  const ds = read(head, prefixed);
  if (!ds) return {};
  const kind = text(ds, "x00080016") || text(ds, "x00020002");
  const modality = text(ds, "x00080060");
  const image = words(ds, "x00080008");
  const place = placeOf(ds, modality);
  if (kind === DICOMDIR) return { aside: "dicomdir" };
  if ((kind && !CT.has(kind)) || (modality && modality !== "CT")) return { aside: "not_ct", place };
  if (image.some((word) => LOCALIZER_WORDS.has(word))) return { aside: "localizer", place };
  const burned = words(ds, "x00280301").some((word) => word !== "" && word !== "NO");
  if (burned || image.some((word) => SCREEN_WORDS.has(word))) return { aside: "burned_in", place };
  return { place };
}

/** Some machines leave out preamble and prefix: the file begins with an element of group 8, or 2. */
function isBare(head: Uint8Array): boolean {
  return head.length > 16 && (head[0] === 8 || head[0] === 2) && head[1] === 0 && head[3] === 0;
}

/** What can be read of a file of which only the beginning is here; nothing of one that is deflated. */
function read(head: Uint8Array, prefixed: boolean): DataSet | undefined {
  const explicit = /^[A-Z]{2}$/.test(String.fromCharCode(...head.subarray(4, 6)));
  const options = prefixed ? {} : { TransferSyntaxUID: explicit ? EXPLICIT : IMPLICIT };
  try {
    return parseDicom(head, { ...options, untilTag: PIXEL_DATA });
  } catch (error) {
    return (error as { dataSet?: DataSet }).dataSet;
  }
}

function placeOf(ds: DataSet, modality: string): Place {
  return {
    patient: {
      id: text(ds, "x00100020"),
      name: text(ds, "x00100010"),
      birthDate: text(ds, "x00100030"),
      sex: text(ds, "x00100040"),
    },
    study: {
      uid: text(ds, "x0020000d"),
      date: text(ds, "x00080020"),
      description: text(ds, "x00081030"),
      accession: text(ds, "x00080050"),
    },
    series: {
      uid: text(ds, "x0020000e"),
      number: text(ds, "x00200011"),
      description: text(ds, "x0008103e"),
      modality,
    },
  };
}

function words(ds: DataSet, tag: string): string[] {
  return text(ds, tag)
    .split("\\")
    .map((word) => word.trim());
}

/** An element's value, in the character set that the file names (PS3.3 C.12.1.1.2). */
function text(ds: DataSet, tag: string): string {
  const element = ds.elements[tag];
  if (!element) return "";
  const bytes = ds.byteArray.subarray(element.dataOffset, element.dataOffset + element.length);
  const named = (ds.string("x00080005") ?? "").split("\\").map((name) => name.trim());
  const charset = named.map((name) => CHARACTER_SETS[name.replace("ISO 2022 IR", "ISO_IR")] ?? CHARACTER_SETS[name]).find(Boolean);
  // oxlint-disable-next-line no-control-regex -- values are padded with it
  return new TextDecoder(charset ?? "iso-8859-1").decode(bytes).replaceAll("\u0000", "").trim();
}

/** `Doe^Jane^^Dr` as people write it. */
export function readableName(name: string): string {
  const [family, ...others] = (name.split("=").find(Boolean) ?? "").split("^").map((part) => part.trim());
  const given = others.filter(Boolean).join(" ");
  return [family, given].filter(Boolean).join(", ");
}
