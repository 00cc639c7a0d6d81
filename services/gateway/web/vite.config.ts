import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Where `npm run dev` finds the API: a facility of the running stack. Its host name must reach the gateway as it is.
const facility = process.env.CODETECT_WEB_FACILITY ?? "http://demo.localhost:8080";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2023",
    manifest: true, // tools/budget.js reads what a page loads at first
    assetsInlineLimit: 0, // nothing inline: the gateway's policy
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000, // tools/budget.js has the limit
  },
  server: { proxy: { "/api": { target: facility, ws: true } } },
});
