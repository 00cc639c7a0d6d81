/** A candidate's shadow results beside those that were shown. */
import type { ComparisonOut, Facility } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { findingName } from "../../words/findings";
import { useLanguage, useWords } from "../../words/words";
import { useCompareQuery } from "./api";
import { words } from "./words";

export function Compare({ name, version, facilities }: { name: string; version: string; facilities: Facility[] }) {
  const t = useWords(words);
  const { data, error, refetch } = useCompareQuery({ name, version });
  if (error) return <ProblemNote problem={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={3} />;
  const waiting = data.states.filter(({ status }) => status === "queued" || status === "running").reduce((sum, { analyses }) => sum + analyses, 0);
  const called = (id: string | null) => (id === null ? t.everywhere : (facilities.find((each) => each.id === id)?.name ?? id));
  const rows = [...data.overall, ...data.items];
  return (
    <div className="compare">
      {waiting > 0 && <p className="quiet">{t.stillRunning(waiting)}</p>}
      {rows.length === 0 ? (
        <p className="quiet">{t.nothingCompared}</p>
      ) : (
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
        <div className="wide-table" tabIndex={0}>
          <table>
            <thead>
              <tr>
                {[t.where, t.against, t.finding, t.studies, t.agreement, t.difference, t.positives].map((each) => (
                  <th key={each} scope="col">
                    {each}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <Row key={`${row.facility_id} ${row.against} ${row.label}`} row={row} where={called(row.facility_id)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function Row({ row, where }: { row: ComparisonOut; where: string }) {
  const language = useLanguage();
  const share = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 3 });
  return (
    <tr>
      <th scope="row">{where}</th>
      <td>{row.against}</td>
      <td>{findingName(row.label)}</td>
      <td>{number.format(row.studies)}</td>
      <td>{share.format(row.agreement)}</td>
      <td>{number.format(row.mean_absolute_difference)}</td>
      <td>
        {row.positive_candidate} / {row.positive_shown} / {row.positive_both}
      </td>
    </tr>
  );
}
