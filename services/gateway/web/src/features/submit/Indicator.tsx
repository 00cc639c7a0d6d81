/** In the header of every page: that something is on its way, and how far. */
import { ProgressBar, Tag } from "@blueprintjs/core";
import { useSelector } from "react-redux";
import { Link, useLocation } from "react-router";

import type { RootState } from "../../app/store";
import { catalogue, useWords } from "../../words/words";
import { isUnderWay } from "./slice";

// Apart from the page's words: this is in the script that comes first.
const words = catalogue(
  {
    sending: (percent: number) => `Sending ${percent} %`,
    waiting: "Sending: no connection",
    paused: "Sending is paused",
    sent: "Sent: see what became of it",
  },
  {
    sending: (percent) => `Sendet ${percent} %`,
    waiting: "Senden: keine Verbindung",
    paused: "Senden angehalten",
    sent: "Gesendet: was daraus wurde",
  },
);

export function Indicator() {
  const t = useWords(words);
  const { pathname } = useLocation();
  const { phase, sent, total, uploadId } = useSelector((state: RootState) => state.submit);
  if (pathname.startsWith("/submit")) return null;
  if (phase === "sent") {
    return (
      <Link className="indicator" to={`/submit/${uploadId}`}>
        <Tag intent="success" interactive={false}>
          {t.sent}
        </Tag>
      </Link>
    );
  }
  if (!isUnderWay(phase)) return null;
  const share = total.bytes ? sent.bytes / total.bytes : 0;
  const text = phase === "waiting" ? t.waiting : phase === "paused" ? t.paused : t.sending(Math.floor(share * 100));
  return (
    <Link className="indicator" to="/submit">
      <span>{text}</span>
      <ProgressBar value={share} stripes={false} intent={phase === "sending" ? "primary" : "warning"} aria-hidden />
    </Link>
  );
}
