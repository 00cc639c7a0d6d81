/** A name as DICOM writes it (family^given^middle^prefix^suffix) as people do: "Family, Given Middle". */
export function readableName(written: string | null | undefined): string {
  const [family = "", given = "", middle = ""] = (written ?? "").split("=")[0]?.split("^").map((part) => part.trim()) ?? [];
  const others = [given, middle].filter(Boolean).join(" ");
  return [family, others].filter(Boolean).join(", ");
}
