/** What the audit log is asked for; the address holds it, so that a search can be handed on. */
import type { ListAuditEventsApiArg } from "../../../api/generated";

export type Filters = Pick<
  ListAuditEventsApiArg,
  "from" | "to" | "subject" | "action" | "outcome" | "study" | "target" | "service"
>;

const OUTCOMES = ["success", "refused", "failure"] as const;
const TEXTS = ["subject", "action", "study", "target", "service"] as const;

/** Days are whole ones where the person is; the last one counts, too. */
export function fromAddress(parameters: URLSearchParams): Filters {
  const filters: Filters = {};
  for (const name of TEXTS) {
    const value = parameters.get(name)?.trim();
    if (value) filters[name] = value;
  }
  const outcome = OUTCOMES.find((each) => each === parameters.get("outcome"));
  if (outcome) filters.outcome = outcome;
  const from = startOf(parameters.get("from"));
  if (from) filters.from = from.toISOString();
  const to = startOf(parameters.get("to"));
  if (to) {
    to.setDate(to.getDate() + 1);
    filters.to = to.toISOString();
  }
  return filters;
}

function startOf(day: string | null): Date | undefined {
  const start = new Date(`${day ?? ""}T00:00:00`);
  return Number.isNaN(start.getTime()) ? undefined : start;
}
