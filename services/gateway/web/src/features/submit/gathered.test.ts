import { expect, test } from "vitest";

import { type Known, goes, group } from "./gathered";
import type { Patient } from "./look";

const jane: Patient = { id: "1", name: "Doe^Jane", birthDate: "19500312", sex: "F" };
const john: Patient = { id: "2", name: "Doe^John", birthDate: "19490101", sex: "M" };

function slice(patient: Patient, study: string, series: string, changes: Partial<Known> = {}): Known {
  return {
    name: `${study}/${series}`,
    size: 1000,
    place: {
      patient,
      study: { uid: study, date: "20250102", description: "Chest", accession: "" },
      series: { uid: `${study}.${series}`, number: series, description: "", modality: "CT" },
    },
    ...changes,
  };
}

test("files become patients, studies and series, these by their numbers", () => {
  const found = group([slice(jane, "a", "10"), slice(jane, "a", "2"), slice(jane, "a", "2"), slice(john, "b", "1"), { name: "x", size: 5 }]);
  expect(found.map(({ name, studies }) => [name, studies.length])).toEqual([
    ["Doe^Jane", 1],
    ["Doe^John", 1],
  ]);
  expect(found[0]?.studies[0]?.series.map(({ number, files, bytes }) => [number, files, bytes])).toEqual([
    ["2", 2, 2000],
    ["10", 1, 1000],
  ]);
});

test("one number is one patient, however the name is written; without numbers, name and birth date tell", () => {
  expect(group([slice(jane, "a", "1"), slice({ ...jane, name: "DOE^JANE^A" }, "b", "1")])).toHaveLength(1);
  const nobody = { ...jane, id: "" };
  expect(group([slice(nobody, "a", "1"), slice({ ...nobody, name: "doe^jane" }, "b", "1")])).toHaveLength(1);
  expect(group([slice(nobody, "a", "1"), slice({ ...nobody, birthDate: "19510312" }, "b", "1")])).toHaveLength(2);
});

test("a study that names two patients is told with both", () => {
  const found = group([slice(jane, "a", "1"), slice(john, "a", "1"), slice(john, "b", "1")]);
  expect(found.map(({ studies }) => studies.map(({ uid, mixed }) => [uid, mixed]))).toEqual([
    [["a", true]],
    [
      ["a", true],
      ["b", false],
    ],
  ]);
});

test("what goes: slices of studies that weren't left out; others when they are wanted and sound", () => {
  const localizer = slice(jane, "a", "1", { aside: "localizer" });
  const text: Known = { name: "t", size: 1, aside: "not_dicom" };
  expect(goes(slice(jane, "a", "1"), [], false)).toBe(true);
  expect(goes(slice(jane, "a", "1"), ["a"], true)).toBe(false);
  expect(goes({ name: "untold", size: 1 }, ["a"], false)).toBe(true);
  expect([false, true].map((others) => goes(localizer, [], others))).toEqual([false, true]);
  expect(goes(text, [], true)).toBe(false);
});
