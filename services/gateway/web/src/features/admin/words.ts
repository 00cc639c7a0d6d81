import { catalogue } from "../../words/words";

export const words = catalogue(
  {
    administration: "Administration",
    requests: "Requests",
    invitations: "Invitations",
    members: "People",
    clients: "API clients",
    webhooks: "Webhooks",
    images: "Images and identities",
    audit: "Audit log",
    checklist: "Checklist",
    waiting: (count: number) => (count === 1 ? "1 is waiting" : `${count} are waiting`),
    more: "Show more",
  },
  {
    administration: "Verwaltung",
    requests: "Anfragen",
    invitations: "Einladungen",
    members: "Personen",
    clients: "API-Clients",
    webhooks: "Webhooks",
    images: "Bilder und Identitäten",
    audit: "Audit-Protokoll",
    checklist: "Checkliste",
    waiting: (count) => (count === 1 ? "1 wartet" : `${count} warten`),
    more: "Mehr zeigen",
  },
);
