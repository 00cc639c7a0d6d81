/** What can be done with the rows that are selected. */
import { Button, MenuItem } from "@blueprintjs/core";
import { Cross, FolderClose, Refresh, Remove, Stop, Tag as TagIcon, WarningSign } from "@blueprintjs/icons";

import type { AnalysisOut, Facets } from "../../api/generated";
import { useWords } from "../../words/words";
import { Picker } from "./Picker";
import type { Bulk } from "./useBulk";
import { words } from "./words";

export type Opened = "tag" | "move" | undefined;

interface Props {
  chosen: AnalysisOut[];
  facets: Facets | undefined;
  bulk: Bulk;
  opened: Opened;
  onOpened: (opened: Opened) => void;
  onEnd: () => void;
}

const LONGEST_TAG = 50;
const LONGEST_FOLDER = 200;

export function BulkBar({ chosen, facets, bulk, opened, onOpened, onEnd }: Props) {
  const t = useWords(words);
  const { act, busy } = bulk;
  const theirTags = [...new Set(chosen.flatMap(({ tags }) => tags))].toSorted();
  const allUrgent = chosen.every(({ priority }) => priority === "urgent");
  const button = (text: string, icon: React.JSX.Element, onClick: () => void, disabled = false) => (
    <Button icon={icon} aria-label={text} disabled={disabled || busy} onClick={onClick}>
      <span className="wide-only">{text}</span>
    </Button>
  );
  const runs = chosen.some(({ status }) => status === "queued" || status === "running");
  const ended = chosen.some(({ status }) => status === "failed" || status === "cancelled");
  return (
    <div role="toolbar" aria-label={t.withSelected} className="bulk">
      <strong aria-live="polite">{t.selected(chosen.length)}</strong>
      <Picker
        label={t.addTag}
        icon={<TagIcon />}
        help={t.addTagHelp}
        names={facets?.tags.map(({ value }) => value) ?? []}
        longest={LONGEST_TAG}
        open={opened === "tag"}
        onOpen={(open) => onOpened(open ? "tag" : undefined)}
        onPick={(tag) => void act(chosen, { do: "organise", change: { add_tags: [tag] } }, (count) => t.tagged(count, tag))}
      >
        {theirTags.length > 0 &&
          theirTags.map((tag) => (
            <MenuItem
              key={tag}
              icon={<Remove />}
              text={t.removeTag(tag)}
              onClick={() => {
                onOpened(undefined);
                void act(chosen, { do: "organise", change: { remove_tags: [tag] } }, (count) => t.untagged(count, tag));
              }}
            />
          ))}
      </Picker>
      <Picker
        label={t.move}
        icon={<FolderClose />}
        help={t.moveHelp}
        names={facets?.folders.map(({ value }) => value) ?? []}
        longest={LONGEST_FOLDER}
        open={opened === "move"}
        onOpen={(open) => onOpened(open ? "move" : undefined)}
        onPick={(folder) => void act(chosen, { do: "organise", change: { folder } }, (count) => t.moved(count, folder))}
      >
        {chosen.some(({ folder }) => folder) && (
          <MenuItem
            icon={<Remove />}
            text={t.takeOut}
            onClick={() => {
              onOpened(undefined);
              void act(chosen, { do: "organise", change: { folder: null } }, t.tookOut);
            }}
          />
        )}
      </Picker>
      {button(allUrgent ? t.makeRoutine : t.makeUrgent, <WarningSign />, () =>
        void act(
          chosen,
          { do: "organise", change: { priority: allUrgent ? "routine" : "urgent" } },
          allUrgent ? t.madeRoutine : t.madeUrgent,
        ),
      )}
      {button(t.rerun, <Refresh />, () => void act(chosen, { do: "rerun" }, t.didRerun), !ended)}
      {button(t.cancel, <Stop />, () => void act(chosen, { do: "cancel" }, t.didCancel), !runs)}
      <span className="quiet keys">{t.keys}</span>
      <Button variant="minimal" icon={<Cross />} aria-label={t.unselect} onClick={onEnd} />
    </div>
  );
}
