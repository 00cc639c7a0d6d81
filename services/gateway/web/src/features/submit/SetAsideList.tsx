/** Files that stay here, by the reason; those that are sound may be sent all the same. */
import { Switch } from "@blueprintjs/core";
import { useSelector } from "react-redux";

import { type RootState, useAppDispatch } from "../../app/store";
import { useWords } from "../../words/words";
import { Files, grouped } from "./Files";
import { choose } from "./gathering";
import { words } from "./words";

const SHORT = 20;

/** `settled`: all is sent, nothing of it can be chosen any more. */
export function SetAsideList({ settled = false }: { settled?: boolean }) {
  const t = useWords(words);
  const dispatch = useAppDispatch();
  const { setAside, others, earlier } = useSelector((state: RootState) => state.submit);
  const sendable = setAside.filter((one) => one.sendable).length;
  const stay = others ? setAside.filter((one) => !one.sendable) : setAside;
  const listed = settled ? stay : setAside;
  if (listed.length === 0) return null;
  return (
    <Files
      title={t.setAside(stay.length)}
      byReason={grouped(
        listed,
        ({ reason }) => t[`reason_${reason}`],
        ({ name }) => name,
      )}
      open={!settled && listed.length <= SHORT}
    >
      {sendable > 0 && !settled && (
        <>
          <Switch
            checked={others}
            disabled={earlier !== null}
            onChange={() => void dispatch(choose({ others: !others }))}
            label={t.others(sendable)}
          />
          <p className="quiet">{t.othersHelp}</p>
        </>
      )}
    </Files>
  );
}
