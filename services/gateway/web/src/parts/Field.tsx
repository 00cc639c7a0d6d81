import { FormGroup, InputGroup } from "@blueprintjs/core";
import { type ComponentProps, useId } from "react";

interface FieldProps extends Omit<ComponentProps<typeof InputGroup>, "onChange" | "value" | "size"> {
  label: string;
  hint?: string;
  value: string;
  onValue: (value: string) => void;
}

/** A labelled line to fill in. */
export function Field({ label, hint, value, onValue, ...input }: FieldProps) {
  const id = useId();
  return (
    <FormGroup label={label} labelFor={id} helperText={hint && <span id={`${id}-hint`}>{hint}</span>}>
      <InputGroup
        {...input}
        id={id}
        fill
        size="large"
        value={value}
        onValueChange={onValue}
        aria-describedby={hint ? `${id}-hint` : undefined}
      />
    </FormGroup>
  );
}
