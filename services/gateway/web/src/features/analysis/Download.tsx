import { Button, Menu, MenuItem, PopoverNext } from "@blueprintjs/core";
import { Download as DownloadIcon } from "@blueprintjs/icons";
import { useState } from "react";

import type { AnalysisOut, DocumentOut } from "../../api/generated";
import { bytes } from "../../api/bytes";
import { save } from "../../parts/save";
import { useWords } from "../../words/words";
import { words } from "./words";

interface Props {
  analysis: AnalysisOut;
  onProblem: (problem: unknown) => void;
}

/** The result as files. They are fetched here, so that what goes wrong is said here. */
export function Download({ analysis, onProblem }: Props) {
  const t = useWords(words);
  const [busy, setBusy] = useState(false);
  const base = `codetect-${analysis.id}`;
  const fetched = async (path: string, name: string) => {
    setBusy(true);
    onProblem(undefined);
    try {
      const answer = await bytes(`/api/v1/analyses/${analysis.id}/${path}`);
      save(name, await answer.blob(), answer.headers.get("content-type") ?? "application/octet-stream");
    } catch (problem) {
      onProblem(problem);
    }
    setBusy(false);
  };
  const asJson = () => save(`${base}.json`, JSON.stringify(analysis, null, 1), "application/json");
  const document = ({ kind, sop_instance_uid: uid }: DocumentOut, n: number, number: number) =>
    kind === "sr" ? null : (
      <MenuItem
        key={uid}
        text={kind === "sc" ? t.sc(number) : t.pm}
        onClick={() => void fetched(`documents/${n}`, `${base}-${kind === "sc" ? `picture-${number}` : "heatmaps"}.dcm`)}
      />
    );
  const menu = (
    <Menu>
      <MenuItem text={t.pdf} onClick={() => void fetched("report.pdf", `${base}.pdf`)} />
      <MenuItem text={t.sr} onClick={() => void fetched("report.dcm", `${base}-sr.dcm`)} />
      {analysis.documents.map((each, n) => document(each, n, pictureNumber(analysis.documents, n)))}
      <MenuItem text={t.fhir} onClick={() => void fetched("report.fhir.json", `${base}.fhir.json`)} />
      <MenuItem text={t.json} onClick={asJson} />
    </Menu>
  );
  return (
    <PopoverNext content={menu} placement="bottom-start">
      <Button icon={<DownloadIcon />} loading={busy}>
        {t.download}
      </Button>
    </PopoverNext>
  );
}

function pictureNumber(documents: DocumentOut[], n: number): number {
  return documents.slice(0, n + 1).filter(({ kind }) => kind === documents[n]?.kind).length;
}
