/** Bars or lines over time; read by hover, or with the arrow keys. */
import { memo } from "react";
import { Bar, CartesianGrid, ComposedChart, Line as Drawn, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";

import type { Timeseries } from "../../api/generated";
import { useLanguage } from "../../words/words";
import { type Unit, amount, moment, tick } from "./format";
import type { Line } from "./lines";
import { Reading } from "./Reading";

export const HEIGHT = 220;
const DASHES = ["0", "7 4", "2 3"];
const AXIS = { fill: "var(--quiet)", fontSize: 12 };

interface Props {
  answer: Timeseries;
  lines: Line[];
  shape: "bars" | "lines";
  unit: Unit;
  label: string;
}

export const TimeChart = memo(function TimeChart({ answer: { times, interval }, lines, shape, unit, label }: Props) {
  const language = useLanguage();
  const rows = times.map((time, at) => ({ time, at }));
  return (
    <ResponsiveContainer width="100%" height={HEIGHT} initialDimension={{ width: 400, height: HEIGHT }}>
      <ComposedChart data={rows} title={label} margin={{ top: 6, right: 8, bottom: 0, left: 0 }}>
        <CartesianGrid vertical={false} stroke="var(--line)" />
        <XAxis
          dataKey="time"
          tickFormatter={(time: string) => tick(time, interval, language)}
          tick={AXIS}
          stroke="var(--line)"
          minTickGap={24}
          padding={shape === "lines" ? { left: 12, right: 12 } : { left: 0, right: 0 }}
          tickLine={false}
        />
        <YAxis
          width="auto"
          allowDecimals={unit !== "count"}
          tickFormatter={(value: number) => amount(value, unit, language)}
          tick={AXIS}
          axisLine={false}
          tickLine={false}
        />
        <Tooltip
          isAnimationActive={false}
          cursor={shape === "bars" ? { fill: "var(--hover)" } : { stroke: "var(--quiet)" }}
          content={
            <Reading
              title={(row: (typeof rows)[number]) => moment(row.time, interval, language)}
              value={(value) => amount(value, unit, language)}
            />
          }
        />
        {lines.map(({ id, name, values }, at) => {
          const colour = `var(--series-${at + 1})`;
          const of = (row: (typeof rows)[number]) => values[row.at];
          return shape === "bars" ? (
            <Bar key={id} dataKey={of} name={name} stackId="all" fill={colour} isAnimationActive={false} maxBarSize={48} />
          ) : (
            <Drawn
              key={id}
              dataKey={of}
              name={name}
              stroke={colour}
              strokeWidth={2}
              strokeDasharray={DASHES[at]}
              dot={{ r: 3, fill: colour, strokeWidth: 0 }}
              isAnimationActive={false}
            />
          );
        })}
      </ComposedChart>
    </ResponsiveContainer>
  );
});
