/** Who asks to come in: those that wait for a decision, and what became of the others. */
import { useWords } from "../../../words/words";
import { useAccessRequestsInfiniteQuery } from "../api";
import { ByState, useShownState } from "../ByState";
import { Request } from "./Request";
import { WAITING } from "./waiting";
import { words } from "./words";

const STATES = ["confirmed", "unconfirmed", "approved", "rejected", "expired", "superseded"] as const;

export default function Requests() {
  const t = useWords(words);
  const list = useAccessRequestsInfiniteQuery({ status: useShownState(STATES) }, WAITING[1]);
  return (
    <ByState states={STATES} words={t} list={list}>
      {(request) => <Request key={request.id} request={request} />}
    </ByState>
  );
}
