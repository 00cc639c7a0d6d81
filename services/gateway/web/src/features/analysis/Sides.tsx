/** The images of one analysis, or of two beside each other, which scroll together by millimetres. */
import { NonIdealState, Switch } from "@blueprintjs/core";
import { useState } from "react";

import type { AnalysisOut, SliceList } from "../../api/generated";
import { when } from "../../words/when";
import { useLanguage, useWords } from "../../words/words";
import { Images } from "./Images";
import { foremost } from "../../parts/foremost";
import { firstSlice, nearestTo, placeAlong, seriesOf } from "./viewer/series";
import { words } from "./words";

export interface Pictured {
  analysis: AnalysisOut;
  slices: SliceList;
}

interface Props {
  one: Pictured;
  n: number;
  onN: (n: number) => void;
  label: string | undefined;
  other: Pictured | undefined;
}

export function Sides({ one, n, onN, label, other }: Props) {
  const t = useWords(words);
  const language = useLanguage();
  // How slices lie doesn't change when a result comes, and a new series would be a new viewer.
  const [series] = useState(() => seriesOf(one.analysis.id, one.slices));
  if (!other) {
    return (
      <div className="left">
        <Images {...one} series={series} n={n} onN={onN} label={label} />
      </div>
    );
  }
  const title = ({ analysis }: Pictured) => t.analysisOf(when(analysis.created_at, language));
  return <Two key={other.analysis.id} {...{ one, n, onN, label, other, series }} titles={[title(one), title(other)]} />;
}

interface TwoProps extends Required<Omit<Props, "other">> {
  other: Pictured;
  series: ReturnType<typeof seriesOf>;
  titles: [string, string];
}

function Two({ one, n, onN, label, other, series, titles }: TwoProps) {
  const t = useWords(words);
  const [theirs] = useState(() => seriesOf(other.analysis.id, other.slices));
  // Places in two studies aren't the same coordinates; those in one are.
  const [m, setM] = useState(() =>
    one.analysis.study_id === other.analysis.study_id
      ? nearestTo(placeAlong(series, n), theirs)
      : firstSlice(other.analysis, theirs.items.length),
  );
  const [together, setTogether] = useState(true);
  const theirLabel = other.analysis.findings.some((each) => each.label === label) ? label : foremost(other.analysis.findings)?.label;
  const go = (to: number) => {
    onN(to);
    if (together) setM(nearestTo(placeAlong(theirs, m) + placeAlong(series, to) - placeAlong(series, n), theirs));
  };
  const goTheirs = (to: number) => {
    setM(to);
    if (together) onN(nearestTo(placeAlong(series, n) + placeAlong(theirs, to) - placeAlong(theirs, m), series));
  };
  return (
    <div className="left two">
      <Switch className="together" checked={together} label={t.together} onChange={({ currentTarget }) => setTogether(currentTarget.checked)} />
      <Images {...one} series={series} n={n} onN={go} label={label} title={titles[0]} />
      <Images {...other} series={theirs} n={m} onN={goTheirs} label={theirLabel} title={titles[1]} />
    </div>
  );
}

export function NoImages() {
  const t = useWords(words);
  return <NonIdealState title={t.noImages} description={t.noImagesHelp} />;
}
