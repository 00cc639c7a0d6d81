/** People as they are pasted from a table or a mail: an address, a name, maybe a role, in a line each. */
import type { NewInvitation } from "../../../api/generated";

const ROLES = new Set(["admin", "member", "viewer"]);

/** Comma, semicolon or tab between them, in any order; a heading and empty lines are passed over. */
export function peopleIn(text: string, role: string): NewInvitation[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^"?(e-?mail|name|role)"?\s*[,;\t]/i.test(line))
    .map((line) => person(line, role));
}

function person(line: string, role: string): NewInvitation {
  const written = /^"?([^"<@]*?)"?\s*<([^<>]+)>$/.exec(line); // Ann Example <ann@hospital.example>
  if (written) return { name: written[1]?.trim() || (written[2] ?? ""), email: written[2]?.trim() ?? "", role };
  const cells = line.split(/[,;\t]/).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));
  const email = cells.find((cell) => cell.includes("@")) ?? cells[0] ?? "";
  const own = cells.find((cell) => ROLES.has(cell.toLowerCase()));
  const name = cells.filter((cell) => cell !== email && cell !== own && cell !== "").join(" ");
  return { email, name: name || email, role: own?.toLowerCase() ?? role };
}
