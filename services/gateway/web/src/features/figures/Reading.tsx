/** What stands at the place of a chart that somebody points at. */
import { Swatch } from "./Legend";

interface Props<Row> {
  title: (row: Row) => string;
  value: (value: number) => string;
  /** From the chart. */
  active?: boolean;
  payload?: readonly { name?: unknown; value?: unknown; payload?: Row }[];
}

export function Reading<Row>({ title, value, active, payload }: Props<Row>) {
  const row = payload?.[0]?.payload;
  if (!active || !row) return null;
  return (
    <div className="reading">
      <strong>{title(row)}</strong>
      <ul>
        {payload.map((each, at) =>
          typeof each.value === "number" ? (
            <li key={String(each.name)}>
              <Swatch at={at} /> {String(each.name)} <b>{value(each.value)}</b>
            </li>
          ) : null,
        )}
      </ul>
    </div>
  );
}
