/** Where files come in: by dropping them anywhere on the page, or by the browser's own dialogs. */
import { Button } from "@blueprintjs/core";
import { Document, FolderOpen, Upload } from "@blueprintjs/icons";
import { useEffect, useRef, useState } from "react";
import { useSelector } from "react-redux";

import { type RootState, useAppDispatch } from "../../app/store";
import { useWords } from "../../words/words";
import { add } from "./gathering";
import { chosen, dropped } from "./sources";
import { words } from "./words";

export function DropZone({ compact }: { compact: boolean }) {
  const t = useWords(words);
  const dispatch = useAppDispatch();
  const { phase, looked } = useSelector((state: RootState) => state.submit);
  const over = useDrops((data) => void dispatch(add(dropped(data))));
  return (
    <section className={`drop-zone${compact ? " compact" : ""}${over ? " over" : ""}`} aria-label={t.drop}>
      <Upload size={compact ? 20 : 40} className="quiet" />
      <div>
        <strong>{compact ? t.dropMore : t.drop}</strong>
        <div className="quiet" role="status">
          {phase === "looking" ? t.looking(looked.done) : !compact && t.dropHelp}
        </div>
      </div>
      <div className="drop-buttons">
        <Chooser label={t.chooseFolder} folder />
        <Chooser label={t.chooseFiles} />
      </div>
    </section>
  );
}

function Chooser({ label, folder = false }: { label: string; folder?: boolean }) {
  const dispatch = useAppDispatch();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (input.current) input.current.webkitdirectory = folder;
  }, [folder]);
  return (
    <>
      <Button icon={folder ? <FolderOpen /> : <Document />} onClick={() => input.current?.click()}>
        {label}
      </Button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label={label}
        onChange={({ target }) => {
          void dispatch(add(chosen([...(target.files ?? [])])));
          target.value = ""; // the same may be chosen again
        }}
      />
    </>
  );
}

/** Wherever in the app files are dropped: the browser must not open them in its place. */
for (const kind of ["dragover", "drop"] as const) {
  addEventListener(kind, (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
}

/** Whether files are held above the page. They may be let go anywhere on the page. */
function useDrops(onDrop: (data: DataTransfer) => void): boolean {
  const [over, setOver] = useState(false);
  const latest = useRef(onDrop);
  useEffect(() => {
    latest.current = onDrop;
  });
  useEffect(() => {
    const hold = (event: DragEvent) => {
      setOver(event.dataTransfer?.types.includes("Files") ?? false);
    };
    const leave = ({ relatedTarget }: DragEvent) => {
      if (!relatedTarget) setOver(false);
    };
    const drop = (event: DragEvent) => {
      setOver(false);
      if (event.dataTransfer?.types.includes("Files")) latest.current(event.dataTransfer);
    };
    addEventListener("dragover", hold);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", hold);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, []);
  return over;
}
