import { catalogue } from "./words";

/** Roles and rights, as people call them. */
export const roleWords = catalogue(
  {
    operator: "Operator",
    admin: "Admin",
    member: "Member",
    viewer: "Viewer",
    api_client: "API client",
    identity: "Sees who patients are",
  },
  {
    operator: "Betrieb",
    admin: "Verwaltung",
    member: "Mitglied",
    viewer: "Liest nur",
    api_client: "API-Client",
    identity: "Sieht, wer Patienten sind",
  },
);
