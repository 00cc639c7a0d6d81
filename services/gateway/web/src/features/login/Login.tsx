/** Logging in: password, then the second factor; or a passkey alone. */
import { Button, Callout } from "@blueprintjs/core";
import { useState } from "react";
import { useLocation } from "react-router";

import { useWords } from "../../words/words";
import { type Leaving, useLogOut, useLoggedIn } from "../wayin/session";
import { PasswordStep } from "./PasswordStep";
import { type Second, SecondStep } from "./SecondStep";
import { words } from "./words";

export default function Login() {
  const [second, setSecond] = useState<Second>();
  const { hash, state } = useLocation() as { hash: string; state: Leaving | null };
  const loggedIn = useLoggedIn();
  const done = () => loggedIn(new URLSearchParams(hash.slice(1)).get("next"));
  return second ? (
    <SecondStep second={second} onBack={() => setSecond(undefined)} onDone={done} />
  ) : (
    <>
      {state?.stillIn && <StillIn />}
      <PasswordStep onSecond={setSecond} onDone={done} />
    </>
  );
}

/** The screen is clear, but the server didn't say that the login has ended. */
function StillIn() {
  const t = useWords(words);
  const logOut = useLogOut();
  return (
    <Callout intent="danger" className="problem" role="alert">
      <p>{t.stillIn}</p>
      <Button onClick={() => void logOut()}>{t.logOutAgain}</Button>
    </Callout>
  );
}
