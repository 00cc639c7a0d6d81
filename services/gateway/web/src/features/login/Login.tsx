/** Logging in: password, then the second factor; or a passkey alone. */
import { useState } from "react";
import { useSearchParams } from "react-router";

import { useLoggedIn } from "../wayin/session";
import { PasswordStep } from "./PasswordStep";
import { type Second, SecondStep } from "./SecondStep";

export default function Login() {
  const [second, setSecond] = useState<Second>();
  const [parameters] = useSearchParams();
  const loggedIn = useLoggedIn();
  const done = () => loggedIn(parameters.get("next"));
  return second ? (
    <SecondStep second={second} onBack={() => setSecond(undefined)} onDone={done} />
  ) : (
    <PasswordStep onSecond={setSecond} onDone={done} />
  );
}
