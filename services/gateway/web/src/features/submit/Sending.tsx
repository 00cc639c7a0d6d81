/** How far it is, by bytes and by file, and the means to stop it. */
import { Button, ProgressBar } from "@blueprintjs/core";
import { Pause, Play } from "@blueprintjs/icons";
import { useSelector } from "react-redux";

import { type RootState, useAppDispatch } from "../../app/store";
import { ProblemNote } from "../../parts/ProblemNote";
import { useLanguage, useWords } from "../../words/words";
import { duration, size } from "./amounts";
import { cancel, pause, resume } from "./sending";
import { SetAsideList } from "./SetAsideList";
import { words } from "./words";

export function Sending() {
  const t = useWords(words);
  const language = useLanguage();
  const dispatch = useAppDispatch();
  const { phase, sent, total, bytesPerSecond, underWay, problem, setAside } = useSelector((state: RootState) => state.submit);
  const paused = phase === "paused";
  const fixed = phase === "opening" || phase === "completing";
  const titles = { opening: t.sending, sending: t.sending, waiting: t.waiting, paused: problem ? t.stopped : t.paused, completing: t.completing };
  const left = bytesPerSecond > 0 ? (total.bytes - sent.bytes) / bytesPerSecond : undefined;
  const unreadable = setAside.some(({ reason }) => reason === "unreadable");
  return (
    <div className="sending">
      <div role="status">
        <h2>{titles[phase as keyof typeof titles]}</h2>
      </div>
      <ProgressBar
        value={total.bytes ? sent.bytes / total.bytes : 0}
        intent={phase === "waiting" || problem ? "warning" : "primary"}
        animate={phase === "completing"}
        stripes={phase === "completing"}
        aria-label={t.bytesBar}
      />
      <p className="sending-figures">
        <span>{t.bytesSent(size(sent.bytes, language), size(total.bytes, language))}</span>
        <span>{t.filesSent(sent.files, total.files)}</span>
        <span className="quiet">
          {phase === "sending" && left !== undefined && `${t.speed(size(bytesPerSecond, language))}, ${t.left(duration(left, language))}`}
        </span>
      </p>
      <ProblemNote problem={problem} />
      <div className="sending-buttons">
        {paused ? (
          <Button intent="primary" icon={<Play />} onClick={() => void dispatch(resume())}>
            {t.resume}
          </Button>
        ) : (
          <Button icon={<Pause />} disabled={fixed} onClick={() => void dispatch(pause())}>
            {t.pause}
          </Button>
        )}
        <Button variant="minimal" disabled={fixed} onClick={() => void dispatch(cancel())}>
          {t.cancel}
        </Button>
      </div>
      {!paused && <p className="quiet">{t.stayHelp}</p>}
      <ul className="under-way">
        {underWay.map((one) => (
          <li key={one.number}>
            <span>{one.name}</span>
            <ProgressBar value={one.size ? one.sent / one.size : 0} stripes={false} aria-label={one.name} />
          </li>
        ))}
      </ul>
      {unreadable && <SetAsideList settled />}
    </div>
  );
}
