/** Folders and tags beside the list: to go to, and to drop rows on. */
import { FolderClose, Inbox, Tag as TagIcon } from "@blueprintjs/icons";
import { type ReactNode, useState } from "react";

import type { Facets } from "../../api/generated";
import { useWords } from "../../words/words";
import { DRAGGED } from "./dragging";
import type { Name, Shown } from "./filters";
import { words } from "./words";

interface Props {
  shown: Shown;
  facets: Facets | undefined;
  set: (changes: Partial<Record<Name, string>>) => void;
  /** For those who may change analyses: what was dragged goes there. */
  onDrop: ((onto: { folder: string } | { tag: string }) => void) | undefined;
}

export function Side({ shown, facets, set, onDrop }: Props) {
  const t = useWords(words);
  const { folders = [], tags = [] } = facets ?? {};
  return (
    <nav className="side" aria-label={t.folders}>
      <Entry icon={<Inbox />} name={t.all} current={!shown.folder && !shown.tag} onGo={() => set({ folder: "", tag: "" })} />
      <h2>{t.folders}</h2>
      {folders.length === 0 && <p className="quiet">{t.noFolders}</p>}
      <ul>
        {folders.map(({ value, count }) => (
          <li key={value}>
            <Entry
              icon={<FolderClose />}
              name={value}
              count={count}
              current={shown.folder === value}
              onGo={() => set({ folder: shown.folder === value ? "" : value })}
              onDrop={onDrop && (() => onDrop({ folder: value }))}
            />
          </li>
        ))}
      </ul>
      {tags.length > 0 && <h2>{t.tags}</h2>}
      <ul>
        {tags.map(({ value, count }) => (
          <li key={value}>
            <Entry
              icon={<TagIcon />}
              name={value}
              count={count}
              current={shown.tag === value}
              onGo={() => set({ tag: shown.tag === value ? "" : value })}
              onDrop={onDrop && (() => onDrop({ tag: value }))}
            />
          </li>
        ))}
      </ul>
      {onDrop && folders.length + tags.length > 0 && <p className="quiet">{t.dropHelp}</p>}
    </nav>
  );
}

interface EntryProps {
  icon: ReactNode;
  name: string;
  count?: number;
  current: boolean;
  onGo: () => void;
  onDrop?: (() => void) | undefined;
}

function Entry({ icon, name, count, current, onGo, onDrop }: EntryProps) {
  const [over, setOver] = useState(false);
  return (
    <button
      type="button"
      className={over ? "entry over" : "entry"}
      aria-current={current ? "true" : undefined}
      onClick={onGo}
      onDragOver={(event) => {
        if (!onDrop || !event.dataTransfer.types.includes(DRAGGED)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        onDrop?.();
      }}
    >
      {icon}
      <span className="entry-name" title={name}>
        {name}
      </span>
      {count !== undefined && <span className="quiet">{count}</span>}
    </button>
  );
}
