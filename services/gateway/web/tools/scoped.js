// Fail when a feature's CSS reaches beyond the feature. A page's CSS stays for as long as the tab is open: `.head` of one page is also
// `.head` of the next. So every selector begins with the feature's class (`.admin`, or `.admin-…` for what lies in a dialog).
import { globSync, readFileSync } from "node:fs";
import { sep } from "node:path";
import { fileURLToPath } from "node:url";

const GROUPS = /^@(media|supports|container|layer)\b/;

/** The selectors (and names of keyframes) that don't begin with the feature's class; nested ones begin with what is around them. */
export function unscoped(css, feature) {
  const own = new RegExp(String.raw`^(\.bp6-dark )?\.${feature}(?!\w)`);
  const found = [];
  for (const [head, body] of blocks(css.replaceAll(/\/\*.*?\*\//gs, ""))) {
    if (GROUPS.test(head)) found.push(...unscoped(body, feature));
    else if (head.startsWith("@keyframes ")) {
      if (!head.startsWith(`@keyframes ${feature}`)) found.push(head);
    } else found.push(...alternatives(head).filter((each) => !own.test(each)));
  }
  return found;
}

/** What stands before and within each outermost pair of braces. */
function blocks(css) {
  const found = [];
  let [depth, start, open] = [0, 0, 0];
  for (let at = 0; at < css.length; at += 1) {
    if (css[at] === ";" && depth === 0) start = at + 1;
    if (css[at] === "{" && ++depth === 1) open = at;
    if (css[at] === "}" && --depth === 0) {
      found.push([css.slice(start, open).trim(), css.slice(open + 1, at)]);
      start = at + 1;
    }
  }
  return found;
}

/** The parts of a list of selectors; commas within `:is(…)` part nothing. */
function alternatives(selectors) {
  return selectors.split(/,(?![^(]*\))/).map((each) => each.trim());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wrong = globSync("src/features/**/*.css").flatMap((file) => {
    const feature = file.split(sep)[2];
    return unscoped(readFileSync(file, "utf8"), feature).map((selector) => `${file}: ${selector}`);
  });
  if (wrong.length > 0) {
    console.error(`These reach into other pages; begin them with the feature's class, or move what is shared to src/app/app.css:\n${wrong.join("\n")}`);
    process.exit(1);
  }
}
