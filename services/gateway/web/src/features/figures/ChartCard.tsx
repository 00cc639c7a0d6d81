/** A chart with its title, its numbers as a table, and both to take away. */
import { Button, Menu, MenuItem, PopoverNext } from "@blueprintjs/core";
import { Download } from "@blueprintjs/icons";
import { type ReactNode, useId, useRef, useState } from "react";

import { save } from "../../parts/save";
import { useTurn } from "../../parts/useTurn";
import { useWords } from "../../words/words";
import { csv } from "./lines";
import { HEIGHT } from "./TimeChart";
import { Legend } from "./Legend";
import { drawn } from "./picture";
import { words } from "./words";

export interface Numbers {
  head: string[];
  /** Of the file, where it has to say more: units, for instance. */
  plainHead?: string[];
  /** As people read them. */
  shown: string[][];
  /** As programs do. */
  plain: (string | number | null)[][];
}

interface Props {
  title: string;
  /** What the files are called. */
  file: string;
  about: string;
  legend: { id: string; name: string; sum?: string }[];
  numbers: Numbers;
  tools?: ReactNode;
  /** Instead of the chart where there is nothing to draw. */
  empty?: ReactNode;
  note?: ReactNode;
  /** What is drawn is of another time; this one's is on its way. */
  isOld?: boolean;
  children: ReactNode;
}

export function ChartCard({ title, file, about, legend, numbers, tools, empty, note, isOld, children }: Props) {
  const t = useWords(words);
  const id = useId();
  const plot = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState(false);
  const come = useTurn();
  const savePicture = async () => {
    const svg = plot.current?.querySelector<SVGSVGElement>("svg.recharts-surface");
    if (svg) save(`${file}.png`, await drawn(svg, title, about, legend.map(({ name }) => name)), "image/png");
  };
  const menu = (
    <Menu>
      <MenuItem text={t.png} onClick={() => void savePicture()} />
      <MenuItem text={t.csv} onClick={() => save(`${file}.csv`, csv(numbers.plainHead ?? numbers.head, numbers.plain), "text/csv;charset=utf-8")} />
    </Menu>
  );
  return (
    <section className={isOld ? "chart is-old" : "chart"} aria-labelledby={id} aria-busy={isOld}>
      <div className="chart-head">
        <h2 id={id}>{title}</h2>
        {tools}
        {!empty && (
          <PopoverNext content={menu} placement="bottom-end">
            <Button variant="minimal" icon={<Download />} aria-label={t.save(title)} title={t.save(title)} />
          </PopoverNext>
        )}
      </div>
      {note}
      {empty ? (
        <div className="chart-empty" style={{ height: HEIGHT }}>
          {empty}
        </div>
      ) : (
        <>
          <div ref={plot} className="plot" style={{ height: HEIGHT }}>
            {come && children}
          </div>
          <div className="chart-foot">
            <Legend names={legend} />
            <Button size="small" variant="minimal" aria-expanded={open} onClick={() => setOpen(!open)}>
              {open ? t.hideNumbers : t.showNumbers}
            </Button>
          </div>
          <NumbersTable title={title} numbers={numbers} open={open} />
        </>
      )}
    </section>
  );
}

/** Always there for those who hear the page; to be seen on demand. */
function NumbersTable({ title, numbers: { head, shown }, open }: { title: string; numbers: Numbers; open: boolean }) {
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
    <div className={open ? "numbers" : "unseen"} tabIndex={open ? 0 : undefined}>
      <table>
        <caption className="unseen">{title}</caption>
        <thead>
          <tr>
            {head.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map(([first, ...rest]) => (
            <tr key={first}>
              <th scope="row">{first}</th>
              {rest.map((value, at) => (
                <td key={head[at + 1]}>{value}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
