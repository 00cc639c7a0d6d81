/** The settings as a form has them: text in fields, gigabytes for people; and what of it is different. */
import type { SettingsOut, SettingsPatch } from "../../../api/generated";

const GB = 1e9;

export interface Form {
  profile: SettingsOut["profile"];
  others: SettingsOut["others"];
  quiet_s: string;
  retention_days: string;
  quota_gb: string;
  quota_studies: string;
  quota_jobs: string;
}

const text = (value: number | null) => (value === null ? "" : String(value));
const number = (typed: string) => (typed.trim() === "" ? null : Number(typed));

export function toForm(settings: SettingsOut): Form {
  return {
    profile: settings.profile,
    others: settings.others,
    quiet_s: text(settings.quiet_s),
    retention_days: text(settings.retention_days),
    quota_gb: text(settings.quota_bytes === null ? null : settings.quota_bytes / GB),
    quota_studies: text(settings.quota_studies),
    quota_jobs: text(settings.quota_jobs),
  };
}

/** Only what is to be different. */
export function changes(form: Form, before: SettingsOut): SettingsPatch {
  const gb = number(form.quota_gb);
  const after: SettingsPatch = {
    profile: form.profile,
    others: form.others,
    quiet_s: number(form.quiet_s) ?? before.quiet_s,
    retention_days: number(form.retention_days),
    quota_bytes: gb === null ? null : Math.round(gb * GB),
    quota_studies: number(form.quota_studies),
    quota_jobs: number(form.quota_jobs),
  };
  return pick(after, (name) => after[name] !== before[name]);
}

/** What would bring it back. */
export function back(patch: SettingsPatch, before: SettingsOut): SettingsPatch {
  return pick(before, (name) => name in patch);
}

function pick(from: SettingsPatch & Partial<SettingsOut>, which: (name: keyof SettingsPatch) => boolean): SettingsPatch {
  const entries = Object.entries(from).filter(([name]) => name !== "forgetting" && which(name as keyof SettingsPatch));
  return Object.fromEntries(entries) as SettingsPatch;
}

/** Whether studies are erased sooner than before: that can't be taken back. */
export function erasesSooner({ retention_days: after }: SettingsPatch, { retention_days: before }: SettingsOut): boolean {
  return typeof after === "number" && (before === null || after < before);
}
