/** A study on its way in: dropped, looked at, sent. What is under way goes on when one leaves the page (desk.ts). */
import "./submit.css";

import { Button, Callout } from "@blueprintjs/core";
import { useEffect, useState } from "react";
import { useSelector } from "react-redux";
import { Navigate } from "react-router";

import { useGetMeQuery } from "../../api/api";
import type { Role } from "../../api/generated";
import type { Problem } from "../../api/problems";
import { type RootState, useAppDispatch } from "../../app/store";
import { Heading } from "../../parts/Heading";
import { ProblemNote } from "../../parts/ProblemNote";
import { useLanguage, useWords } from "../../words/words";
import { size } from "./amounts";
import { DropZone } from "./DropZone";
import { Found } from "./Found";
import { clear, recall } from "./gathering";
import { Options } from "./Options";
import { Sending } from "./Sending";
import { send } from "./sending";
import { SetAsideList } from "./SetAsideList";
import { isOver, isUnderWay } from "./slice";
import { Unfinished } from "./Unfinished";
import { words } from "./words";

const MAY_SEND = new Set<Role>(["admin", "member"]);
const NOT_YOURS: Problem = { type: "forbidden", status: 403, title: "Your role doesn't allow this." };

export default function Submit() {
  const t = useWords(words);
  const dispatch = useAppDispatch();
  const { data: me } = useGetMeQuery();
  const { phase, uploadId } = useSelector((state: RootState) => state.submit);
  const [seen] = useState(isOver(phase));
  useEffect(() => {
    if (seen) void dispatch(clear()); // its outcome was shown; this is a new beginning
    void dispatch(recall());
  }, [dispatch, seen]);
  if (isOver(phase) && !seen) return <Navigate to={`/submit/${uploadId}`} replace />;
  return (
    <div className="submit">
      <Heading>{t.title}</Heading>
      {me && !MAY_SEND.has(me.role) && <ProblemNote problem={NOT_YOURS} />}
      {me && MAY_SEND.has(me.role) && (isUnderWay(phase) ? <Sending /> : <Gathering />)}
    </div>
  );
}

function Gathering() {
  const t = useWords(words);
  const language = useLanguage();
  const dispatch = useAppDispatch();
  const { phase, looked, patients, setAside, untold, toSend, earlier, problem } = useSelector((state: RootState) => state.submit);
  const empty = patients.length === 0 && setAside.length === 0 && untold.files === 0;
  const refused = problem?.type === "holds-identifier" ? problem : undefined;
  return (
    <>
      <Unfinished />
      <DropZone compact={!empty} />
      {empty && phase === "gathering" && looked.done > 0 && <Callout intent="warning">{t.noFiles}</Callout>}
      {!empty && (
        <div className="submit-columns">
          <div>
            {patients.length === 0 && untold.files === 0 && (
              <Callout intent="warning" title={t.nothing}>
                {t.nothingHelp}
              </Callout>
            )}
            <Found />
            <SetAsideList />
          </div>
          <form
            className="submit-options"
            onSubmit={(event) => {
              event.preventDefault();
              void dispatch(send());
            }}
          >
            {!earlier && <Options refused={refused} />}
            {!refused && <ProblemNote problem={problem} />}
            <Button type="submit" intent="primary" size="large" fill disabled={toSend.files === 0 || phase === "looking"}>
              {earlier
                ? t.goOn(Math.max(0, toSend.files - earlier.postedFiles))
                : t.send(toSend.files, size(toSend.bytes, language))}
            </Button>
            <Button variant="minimal" fill onClick={() => void dispatch(clear())}>
              {t.clear}
            </Button>
          </form>
        </div>
      )}
    </>
  );
}
