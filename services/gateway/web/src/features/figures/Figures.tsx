/** A facility's figures as charts that move while one looks; the address holds the time and the steps. */
import "./figures.css";

import { useEffect, useState } from "react";

import { Heading } from "../../parts/Heading";
import { amended, useAddress } from "../../parts/useAddress";
import { useLanguage, useWords } from "../../words/words";
import { CHARTS, STAGES } from "./charts";
import { Drift } from "./Drift";
import { moment } from "./format";
import { PeriodTools } from "./PeriodTools";
import { ZONE, lastDay, readPeriod } from "./period";
import { Series } from "./Series";
import { Tiles } from "./Tiles";
import { words } from "./words";

const MINUTE_MS = 60_000;

export default function Figures() {
  const t = useWords(words);
  const language = useLanguage();
  const now = useNow();
  const [parameters, set] = useAddress();
  const period = readPeriod(parameters, now);
  const stage = STAGES.find((each) => each === parameters.get("stage")) ?? "total";
  const change = (changes: Record<string, string>) => set((said) => amended(said, changes));
  const days = [period.from, lastDay(period, now)].map((each) => moment(each, "week", language)).join(" – ");
  const about = `${days} · ${ZONE}`;
  return (
    <div className="figures">
      <div className="figures-head">
        <Heading>{t.title}</Heading>
        <PeriodTools period={period} now={now} onChange={change} />
      </div>
      <Tiles period={period} />
      <div className="charts">
        {CHARTS.map((chart) => (
          <Series key={chart.id} chart={chart} period={period} about={about} stage={stage} onStage={(value) => change({ stage: value })} />
        ))}
        <Drift
          period={period}
          now={now}
          about={about}
          model={parameters.get("model") ?? ""}
          measure={parameters.get("measure") ?? ""}
          onChange={change}
        />
      </div>
    </div>
  );
}

/** Moves each minute, so that "the last 24 hours" stay the last. */
function useNow(): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), MINUTE_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
