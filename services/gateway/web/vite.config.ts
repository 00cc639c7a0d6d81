import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `scripts/web dev` at http://demo.localhost:5173: the host name reaches the gateway as it is, and says whose facility it is.
const gateway = `http://127.0.0.1:${process.env.CODETECT_GATEWAY_PORT ?? 8080}`;

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2023",
    manifest: true, // tools/budget.js reads what a page loads at first
    assetsInlineLimit: 0, // nothing inline: the gateway's policy
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000, // tools/budget.js has the limit
  },
  server: { proxy: { "/api": { target: gateway, ws: true } } },
});
