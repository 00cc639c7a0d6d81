/** Stands in for the package xmlbuilder2, which is never called (vite.config.ts). */
export function create(): never {
  throw new Error("xmlbuilder2 isn't part of this build");
}
