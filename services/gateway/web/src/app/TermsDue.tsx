/** New terms come before anything else. */
import { Button } from "@blueprintjs/core";

import { useAgreeToTermsMutation, useGetTermsQuery, useLazyGetMeQuery } from "../api/api";
import { Heading } from "../parts/Heading";
import { ProblemNote } from "../parts/ProblemNote";
import { TermsText } from "../parts/TermsText";
import { useWords } from "../words/words";
import { words } from "./words";

export function TermsDue({ version }: { version: number }) {
  const t = useWords(words);
  const { data: terms, error } = useGetTermsQuery();
  const [agree, { isLoading, error: refused }] = useAgreeToTermsMutation();
  const [askMe] = useLazyGetMeQuery();
  const go = async () => {
    if (!("error" in (await agree({ termsVersion: { version } })))) await askMe();
  };
  return (
    <div className="card wide">
      <Heading>{t.terms}</Heading>
      <p>{t.termsDue}</p>
      <ProblemNote problem={error ?? refused} />
      <TermsText terms={terms} />
      <Button intent="primary" size="large" disabled={!terms} loading={isLoading} onClick={() => void go()}>
        {t.agree}
      </Button>
    </div>
  );
}
