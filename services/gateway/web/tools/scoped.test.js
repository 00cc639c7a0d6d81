import { expect, test } from "vitest";

import { unscoped } from "./scoped.js";

test("what begins with the feature's class, or lies within it, stays in the feature", () => {
  const css = `
    /* .head { } */
    .admin { display: flex; .head, h1 { margin: 0 } @media (width <= 900px) { .filters { gap: 0 } } }
    .admin-types > li, .bp6-dark .admin:is(.a, .b) { color: red }
    @media (width <= 480px) { .admin .pairs { gap: 0 } }
    @keyframes admin-pulse { from { opacity: 0 } to { opacity: 1 } }`;
  expect(unscoped(css, "admin")).toEqual([]);
});

test("what reaches into other pages is found, also in a list, a media query and under a name that only begins alike", () => {
  const css = `
    .head > :nth-last-child(2) { display: none }
    .admin .row, .facts { margin: 0 }
    @media (width <= 800px) { .filters { gap: 0 } .admin { gap: 0 } }
    .administrator { color: red }
    h1 .admin { margin: 0 }
    @keyframes pulse { from { opacity: 0 } }`;
  expect(unscoped(css, "admin")).toEqual([
    ".head > :nth-last-child(2)",
    ".facts",
    ".filters",
    ".administrator",
    "h1 .admin",
    "@keyframes pulse",
  ]);
});
