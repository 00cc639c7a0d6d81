/** What the dropped files are, ordered as people think of them: patients, their studies, the series of these. */
import type { Patient, Place, Reason } from "./look";

export interface SeriesFound {
  uid: string;
  number: string;
  description: string;
  modality: string;
  files: number;
  bytes: number;
}
export interface StudyFound {
  uid: string;
  date: string;
  description: string;
  accession: string;
  series: SeriesFound[];
  /** Its files name several patients: the server takes none of them. */
  mixed: boolean;
}
export interface PatientFound extends Patient {
  key: string;
  studies: StudyFound[];
}
export interface SetAside {
  name: string;
  reason: Reason;
  /** A sound file: it can be sent all the same. */
  sendable: boolean;
}

export interface Known {
  name: string;
  size: number;
  place?: Place | undefined;
  aside?: Reason | undefined;
}

/** The number tells patients apart; the name and the date of birth where there is none. */
export function patientKey({ id, name, birthDate }: Patient): string {
  return id ? `id:${id}` : `name:${name.toLowerCase()}:${birthDate}`;
}

export function group(files: Iterable<Known>): PatientFound[] {
  const patients = new Map<string, PatientFound>();
  const studies = new Map<string, StudyFound>();
  const keys = new Map<string, Set<string>>();
  const series = new Map<string, SeriesFound>();
  for (const { size, place } of files) {
    if (!place) continue;
    const key = patientKey(place.patient);
    const patient = patients.get(key) ?? { ...place.patient, key, studies: [] };
    patients.set(key, patient);
    // A study that names several patients stands with each of them.
    const studyKey = `${key}\n${place.study.uid}`;
    let study = studies.get(studyKey);
    if (!study) {
      study = { ...place.study, series: [], mixed: false };
      studies.set(studyKey, study);
      patient.studies.push(study);
      keys.set(place.study.uid, (keys.get(place.study.uid) ?? new Set()).add(key));
    }
    const seriesKey = `${studyKey}\n${place.series.uid}`;
    let found = series.get(seriesKey);
    if (!found) {
      found = { ...place.series, files: 0, bytes: 0 };
      series.set(seriesKey, found);
      study.series.push(found);
    }
    found.files += 1;
    found.bytes += size;
  }
  for (const study of studies.values()) {
    study.mixed = (keys.get(study.uid)?.size ?? 0) > 1;
    study.series.sort((a, b) => Number(a.number) - Number(b.number) || a.number.localeCompare(b.number));
  }
  return [...patients.values()];
}

/** Whether a file goes along, as things are chosen now. */
export function goes({ place, aside }: Known, left: readonly string[], others: boolean): boolean {
  if (place && left.includes(place.study.uid)) return false;
  return aside === undefined || (others && isSendable(aside));
}

/** DICOM files that only aren't read: a facility may want them beside their study. */
export function isSendable(reason: Reason): boolean {
  return reason === "localizer" || reason === "not_ct" || reason === "burned_in";
}
