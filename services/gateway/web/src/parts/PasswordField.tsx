import { Button } from "@blueprintjs/core";
import { EyeOff, EyeOpen } from "@blueprintjs/icons";
import { type ComponentProps, useState } from "react";

import { catalogue, useWords } from "../words/words";
import { Field } from "./Field";

const words = catalogue(
  { show: "Show password", hide: "Hide password" },
  { show: "Passwort zeigen", hide: "Passwort verbergen" },
);

export function PasswordField(props: Omit<ComponentProps<typeof Field>, "type" | "rightElement">) {
  const t = useWords(words);
  const [shown, setShown] = useState(false);
  return (
    <Field
      {...props}
      type={shown ? "text" : "password"}
      spellCheck={false}
      rightElement={
        <Button
          variant="minimal"
          icon={shown ? <EyeOff /> : <EyeOpen />}
          aria-label={shown ? t.hide : t.show}
          onClick={() => setShown(!shown)}
        />
      }
    />
  );
}
