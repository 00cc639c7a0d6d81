import type { ComponentProps } from "react";

import { Field } from "../../parts/Field";

/** A one-time code, which phones and password managers fill in by themselves. */
export function CodeField({ recovery, ...props }: { recovery?: boolean } & ComponentProps<typeof Field>) {
  return (
    <Field
      {...props}
      className="code"
      name="code"
      required
      autoFocus
      spellCheck={false}
      autoComplete={recovery ? "off" : "one-time-code"}
      inputMode={recovery ? "text" : "numeric"}
    />
  );
}
