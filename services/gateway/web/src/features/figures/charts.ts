/** The charts of the page: what each asks for, and what its lines are called. */
import type { AnalyticsTimeseriesApiArg } from "../../api/generated";
import { findingName } from "../../words/findings";
import type { Unit } from "./format";
import type { Figure, Naming } from "./lines";
import { refusalName } from "./refusals";
import type { Words } from "./words";

export interface Chart {
  id: "studies" | "analyses" | "findings" | "turnaround" | "refused" | "feedback" | "models" | "unlike";
  metric: Figure;
  by: NonNullable<AnalyticsTimeseriesApiArg["by"]>;
  shape: "bars" | "lines";
  unit: Unit;
  naming: (t: Words, stage: Stage) => Naming;
}

export const STAGES = ["total", "queued", "inference"] as const;
export type Stage = (typeof STAGES)[number];

/** Lines in this order; a value that isn't here is left out. */
const among =
  <T extends string>(dimension: string, order: readonly T[], name: (value: T) => string): Naming =>
  (key) => {
    const place = order.indexOf(key[dimension] as T);
    const id = order[place];
    return id === undefined ? undefined : { id, name: name(id), place };
  };

export const CHARTS: readonly Chart[] = [
  {
    id: "studies",
    metric: "studies",
    by: ["change"],
    shape: "bars",
    unit: "count",
    naming: (t) => among("change", ["new", "updated", "erased"], (change) => t[change]),
  },
  {
    id: "analyses",
    metric: "analyses",
    by: ["state"],
    shape: "bars",
    unit: "count",
    naming: (t) => among("state", ["completed", "failed", "cancelled"], (state) => t[state]),
  },
  {
    id: "findings",
    metric: "findings",
    by: ["finding", "outcome"],
    shape: "bars",
    unit: "count",
    naming: () => (key) =>
      key["outcome"] === "positive" ? { id: String(key["finding"]), name: findingName(String(key["finding"])) } : undefined,
  },
  {
    id: "turnaround",
    metric: "turnaround_ms",
    by: ["stage"],
    shape: "lines",
    unit: "ms",
    naming: (t, stage) => (key) =>
      key["stage"] === stage ? among("quantile", ["p50", "p90", "p99"], (quantile) => t[quantile])(key) : undefined,
  },
  {
    id: "refused",
    metric: "files",
    by: ["outcome"],
    shape: "bars",
    unit: "count",
    naming: (t) => (key) => {
      const code = String(key["outcome"]);
      return code === "accepted" ? undefined : { id: code, name: refusalName(code, t) };
    },
  },
  {
    id: "feedback",
    metric: "feedback",
    by: ["outcome"],
    shape: "bars",
    unit: "count",
    naming: (t) => among("outcome", ["agrees", "disagrees", "unsure"], (outcome) => t[outcome]),
  },
  {
    id: "models",
    metric: "analyses",
    by: ["model", "model_version"],
    shape: "bars",
    unit: "count",
    naming: () => (key) => {
      const name = `${key["model"]} ${key["model_version"]}`;
      return { id: name, name };
    },
  },
  {
    id: "unlike",
    metric: "out_of_distribution",
    by: ["outcome"],
    shape: "bars",
    unit: "count",
    naming: (t) => among("outcome", ["unlike", "like"], (outcome) => (outcome === "like" ? t.like : t.unlikeLine)),
  },
];
