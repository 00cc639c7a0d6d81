import { FormGroup, TextArea } from "@blueprintjs/core";
import { useId } from "react";

interface LongFieldProps {
  label: string;
  hint: string;
  value: string;
  maxLength: number;
  onValue: (value: string) => void;
}

/** A labelled text that grows with what is written. */
export function LongField({ label, hint, value, maxLength, onValue }: LongFieldProps) {
  const id = useId();
  return (
    <FormGroup label={label} labelFor={id} helperText={<span id={`${id}-hint`}>{hint}</span>}>
      <TextArea
        id={id}
        fill
        autoResize
        maxLength={maxLength}
        value={value}
        aria-describedby={`${id}-hint`}
        onChange={({ currentTarget }) => onValue(currentTarget.value)}
      />
    </FormGroup>
  );
}
