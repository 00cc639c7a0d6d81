// Write src/api/generated.ts, the client, from the merged OpenAPI document. Run it here: `scripts/web api`.
import { generateEndpoints } from "@rtk-query/codegen-openapi";

// Images travel as files and links, and programs' tokens are none of a page's business.
const NOT_FOR_PAGES = /^\/(dicomweb|oauth|\.well-known)\b/;

await generateEndpoints({
  schemaFile: "../../../docs/openapi.json",
  apiFile: "./src/api/base.ts",
  apiImport: "base",
  outputFile: "./src/api/generated.ts",
  exportName: "generated",
  filterEndpoints: (_, { path }) => !NOT_FOR_PAGES.test(path),
  encodePathParams: true,
  tag: true,
  hooks: { queries: true, lazyQueries: true, mutations: true },
});
