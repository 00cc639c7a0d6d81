import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { type Plugin, defineConfig } from "vite";

// `scripts/web dev` at http://demo.localhost:5173: the host name reaches the gateway as it is, and says whose facility it is.
const gateway = `http://127.0.0.1:${process.env.CODETECT_GATEWAY_PORT ?? 8080}`;

const STYLED = "textElement.setAttribute('style', combinedStyle)";

const KEEPING = /\/node_modules\/(@cornerstonejs|dcmjs|loglevel)\//;
const STORAGE = /\bwindow\.localStorage\b/g;

/** What the viewer's libraries would keep in the browser's storage, where nothing but theme and language lies, goes nowhere. */
function viewerThatKeepsNothing(): Plugin {
  let found = 0;
  return {
    name: "viewer-that-keeps-nothing",
    apply: "build",
    transform(code, id) {
      if (!KEEPING.test(id) || !code.includes("window.localStorage")) return undefined;
      found += 1;
      return code.replace(STORAGE, "({})");
    },
    buildEnd(error) {
      if (!error && found === 0) throw new Error("The viewer's libraries have changed: look for what they keep in the browser's storage again");
    },
  };
}

/** The one place where Cornerstone writes a style as an attribute, which the gateway's policy forbids. */
function cornerstoneWithoutInlineStyle(): Plugin {
  return {
    name: "cornerstone-without-inline-style",
    transform(code, id) {
      if (!id.endsWith("/drawingSvg/drawTextBox.js")) return undefined;
      if (!code.includes(STYLED)) throw new Error("Cornerstone's drawTextBox.js has changed: look for inline styles again");
      return code.replace(STYLED, "textElement.style.cssText = combinedStyle");
    },
  };
}

export default defineConfig({
  plugins: [react(), cornerstoneWithoutInlineStyle(), viewerThatKeepsNothing()],
  // Only VTK's reader and writer of XML need it, which are never called; it is large.
  resolve: { alias: { xmlbuilder2: fileURLToPath(new URL("tools/no-xmlbuilder2.ts", import.meta.url)) } },
  build: {
    target: "es2023",
    manifest: true, // tools/budget.js reads what a page loads at first
    assetsInlineLimit: 0, // nothing inline: the gateway's policy
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 4000, // tools/budget.js has the limit
  },
  server: { proxy: { "/api": { target: gateway, ws: true } } },
});
