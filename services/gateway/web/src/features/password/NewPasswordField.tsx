import { PasswordField } from "../../parts/PasswordField";
import { useWords } from "../../words/words";
import { words } from "./words";

/** As auth asks for it: length counts, no kinds of characters. */
export function NewPasswordField({ value, onValue }: { value: string; onValue: (value: string) => void }) {
  const t = useWords(words);
  return (
    <PasswordField
      label={t.password}
      hint={t.passwordHint}
      name="new-password"
      autoComplete="new-password"
      required
      minLength={12}
      maxLength={256}
      value={value}
      onValue={onValue}
    />
  );
}
