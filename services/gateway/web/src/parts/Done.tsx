import { Callout } from "@blueprintjs/core";
import type { ReactNode } from "react";

import { Heading } from "./Heading";

/** A step that is over, and what follows. */
export function Done({ title, help, children }: { title: string; help: string; children?: ReactNode }) {
  return (
    <>
      <Heading>{title}</Heading>
      <div role="status">
        <Callout intent="success">{help}</Callout>
      </div>
      {children}
    </>
  );
}
