import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { HEAD_BYTES, look, readableName } from "./look";

const SLICE = new Uint8Array(readFileSync(new URL("../../../../../../tests/data/lidc-idri-0001/0020.dcm", import.meta.url)));
const head = () => SLICE.slice(0, HEAD_BYTES);

/** An element of explicit little endian, short form. */
function element(group: number, number: number, vr: string, value: string, encode = (text: string) => new TextEncoder().encode(text)) {
  const bytes = encode(value.length % 2 ? `${value} ` : value);
  const even = bytes.length % 2 ? new Uint8Array([...bytes, 0x20]) : bytes;
  const start = [group & 255, group >> 8, number & 255, number >> 8, ...new TextEncoder().encode(vr), even.length & 255, even.length >> 8];
  return new Uint8Array([...start, ...even]);
}

function file(...elements: Uint8Array[]) {
  const syntax = element(0x0002, 0x0010, "UI", "1.2.840.10008.1.2.1\0");
  const length = new Uint8Array([2, 0, 0, 0, 0x55, 0x4c, 4, 0, syntax.length, 0, 0, 0]);
  return joined([new Uint8Array(128), new TextEncoder().encode("DICM"), length, syntax, ...elements]);
}

function joined(parts: Uint8Array[]) {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
const ct = element(0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.2\0");

const latin = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const nameIn = (set: string, encode?: (text: string) => Uint8Array<ArrayBuffer>) =>
  look(file(element(0x0008, 0x0005, "CS", set), ct, element(0x0010, 0x0010, "PN", "Müller^Jörg", encode))).place?.patient.name;

test("a slice says whose it is and where it belongs, from its beginning alone", () => {
  const { aside, place } = look(head());
  expect(aside).toBeUndefined();
  expect(place?.patient.id).toBe("LIDC-IDRI-0001");
  expect(place?.series.modality).toBe("CT");
  expect(place?.study.uid).toMatch(/^1\.3\.6\.1/);
});

test("what is no slice is told apart", () => {
  expect(look(new TextEncoder().encode("Dear colleague, ".repeat(40)))).toEqual({ aside: "not_dicom" });
  expect(look(new Uint8Array(4))).toEqual({ aside: "not_dicom" });
  expect(look(file(element(0x0008, 0x0008, "CS", "ORIGINAL\\PRIMARY\\LOCALIZER"), ct)).aside).toBe("localizer");
  expect(look(file(element(0x0008, 0x0008, "CS", "DERIVED\\SECONDARY\\SCREEN SAVE"), ct)).aside).toBe("burned_in");
  expect(look(file(ct, element(0x0008, 0x0060, "CS", "MR"))).aside).toBe("not_ct");
  expect(look(file(element(0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.88.67"))).aside).toBe("not_ct");
  expect(look(file(element(0x0008, 0x0016, "UI", "1.2.840.10008.1.3.10"))).aside).toBe("dicomdir");
});

test("a file without preamble is read too, and one that can't be read here is left to the server", () => {
  const bare = head().slice(132);
  expect(look(bare).aside).toBeUndefined();
  const deflated = file();
  const at = new TextDecoder("latin1").decode(deflated).indexOf("1.2.840.10008.1.2.1");
  const known = new Uint8Array([...deflated.slice(0, at), ...new TextEncoder().encode("1.2.840.10008.1.2.1.99"), ...new Uint8Array(300)]);
  known[at - 2] = 22;
  known[140] = 30;
  expect(look(known)).toEqual({});
});

test("names are read in the file's own character set, and written as people write them", () => {
  expect(nameIn("ISO_IR 192")).toBe("Müller^Jörg");
  expect(nameIn("ISO_IR 100", latin)).toBe("Müller^Jörg");
  expect(readableName("Müller^Jörg^^Dr.")).toBe("Müller, Jörg Dr.");
  expect(readableName("=山田^太郎=やまだ^たろう")).toBe("山田, 太郎");
  expect(readableName("")).toBe("");
});
