import { Section, type SectionProps } from "@blueprintjs/core";
import type { HTMLAttributes } from "react";

/** A part of the page that can be read about alone. */
export function Part(props: SectionProps) {
  return <Section compact titleRenderer={Title} {...props} />;
}

/** Below the page's own heading; Blueprint's would be a sixth. */
function Title({ children, ...rest }: HTMLAttributes<HTMLElement>) {
  return <h2 {...rest}>{children}</h2>;
}
