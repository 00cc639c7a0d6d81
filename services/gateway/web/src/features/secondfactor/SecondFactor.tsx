/** The first second factor: an authenticator app or a passkey, then the recovery codes, which are shown this once. */
import { Button } from "@blueprintjs/core";
import { useState } from "react";
import { useSelector } from "react-redux";
import { Navigate } from "react-router";

import { type RootState, useAppDispatch } from "../../app/store";
import { Heading } from "../../parts/Heading";
import { useWords } from "../../words/words";
import { canUsePasskeys } from "../wayin/passkeys";
import { useLoggedIn } from "../wayin/session";
import { enrolmentDone } from "../wayin/slice";
import { AddApp } from "./AddApp";
import { AddPasskey } from "./AddPasskey";
import { RecoveryCodes } from "./RecoveryCodes";
import { words } from "./words";

export default function SecondFactor() {
  const t = useWords(words);
  const token = useSelector((state: RootState) => state.wayIn.enrolmentToken);
  const [passkey, setPasskey] = useState(false);
  const [codes, setCodes] = useState<string[]>();
  const dispatch = useAppDispatch();
  const loggedIn = useLoggedIn();

  if (codes) {
    const saved = async () => {
      await loggedIn(null);
      dispatch(enrolmentDone());
    };
    return <RecoveryCodes codes={codes} onSaved={saved} />;
  }
  if (!token) return <Navigate to="/login" replace />; // reloaded: the password brings another token
  return (
    <>
      <Heading>{t.title}</Heading>
      {passkey ? <AddPasskey token={token} onDone={setCodes} /> : <AddApp token={token} onDone={setCodes} />}
      {canUsePasskeys() && (
        <p className="links">
          <Button variant="minimal" intent="primary" onClick={() => setPasskey(!passkey)}>
            {passkey ? t.appInstead : t.passkeyInstead}
          </Button>
        </p>
      )}
    </>
  );
}
