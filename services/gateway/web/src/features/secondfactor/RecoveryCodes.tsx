import { Button, ButtonGroup, Checkbox } from "@blueprintjs/core";
import { Download, Duplicate, Print, Tick } from "@blueprintjs/icons";
import { useState } from "react";

import { useGetFacilityQuery } from "../../api/api";
import { Heading } from "../../parts/Heading";
import { save } from "../../parts/save";
import { useWords } from "../../words/words";
import { words } from "./words";

interface Props {
  codes: string[];
  onSaved: () => Promise<void> | void;
}

/** As a page, at the first login. */
export function RecoveryCodes(props: Props) {
  const t = useWords(words);
  return (
    <>
      <Heading>{t.codes}</Heading>
      <CodesToKeep {...props} button={t.start} />
    </>
  );
}

/** The codes, ways to keep them, and a button for when that is done. */
export function CodesToKeep({ codes, onSaved, button }: Props & { button: string }) {
  const t = useWords(words);
  const { data: facility } = useGetFacilityQuery();
  const [kept, setKept] = useState(false);
  const [copied, setCopied] = useState(false);
  const text = [t.file(facility?.name ?? location.host), ...codes, ""].join("\n");
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
  };
  return (
    <>
      <p>{t.codesHelp}</p>
      <ol className="codes">
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ol>
      <ButtonGroup fill>
        <Button icon={<Download />} onClick={() => save("codetect-recovery-codes.txt", text)}>
          {t.download}
        </Button>
        <Button icon={copied ? <Tick /> : <Duplicate />} onClick={() => void copy()}>
          {copied ? t.copied : t.copy}
        </Button>
        <Button icon={<Print />} onClick={() => print()}>
          {t.print}
        </Button>
      </ButtonGroup>
      <Checkbox className="kept" checked={kept} onChange={() => setKept(!kept)} label={t.kept} />
      <Button intent="primary" size="large" fill disabled={!kept} onClick={() => void onSaved()}>
        {button}
      </Button>
    </>
  );
}
