// Fail when the script that must be there before anything shows is larger than it may be.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const INITIAL_JS_KB = 350;

const manifest = JSON.parse(readFileSync("dist/.vite/manifest.json", "utf8"));
const initial = new Set();
const collect = (key) => {
  const chunk = manifest[key];
  if (initial.has(chunk.file)) return;
  initial.add(chunk.file);
  chunk.imports?.forEach(collect);
};
Object.keys(manifest).filter((key) => manifest[key].isEntry).forEach(collect);

const size = (file) => gzipSync(readFileSync(`dist/${file}`), { level: 9 }).length / 1000;
const total = [...initial].reduce((sum, file) => sum + size(file), 0);
console.log(`initial script: ${total.toFixed(0)} of ${INITIAL_JS_KB} KB gzipped`);
if (total > INITIAL_JS_KB) {
  console.error("Too much at once: load it with the page that needs it (React.lazy), or find something smaller.");
  process.exit(1);
}
