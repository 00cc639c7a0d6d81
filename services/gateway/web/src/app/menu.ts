/** The menu: at most four entries for a member, so that the way to anything is short. */
import type { Role } from "../api/generated";
import type { words } from "./words";

interface Entry {
  path: string;
  label: keyof (typeof words)["en"] & ("worklist" | "submit" | "figures" | "platform" | "administration");
  roles: readonly Role[];
}

export const MENU: readonly Entry[] = [
  { path: "/worklist", label: "worklist", roles: ["viewer", "member", "admin"] },
  { path: "/submit", label: "submit", roles: ["member", "admin"] },
  { path: "/platform", label: "platform", roles: ["operator"] },
  { path: "/figures", label: "figures", roles: ["viewer", "member", "admin", "operator"] },
  { path: "/admin", label: "administration", roles: ["admin"] },
];
