import { useEffect } from "react";

import { useConfirmTotpMutation, useEnrolTotpMutation } from "../../api/api";
import { AppForm } from "./AppForm";

interface Props {
  token: string;
  onDone: (codes: string[]) => void;
}

export function AddApp({ token, onDone }: Props) {
  const [enrol, { data: app, error: unasked }] = useEnrolTotpMutation({ fixedCacheKey: `enrolment-${token}` });
  const [confirm] = useConfirmTotpMutation();
  useEffect(() => {
    // One secret a visit: another one would make the code that was scanned before it worthless.
    if (!app && !unasked) void enrol({ enrol: { enrolment_token: token } });
  }, [app, unasked, enrol, token]);
  const check = async (code: string) => {
    const { recovery_codes } = await confirm({ confirm: { enrolment_token: token, code } }).unwrap();
    onDone(recovery_codes);
  };
  return <AppForm app={app} unasked={unasked} onCode={check} />;
}
