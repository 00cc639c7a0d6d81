/** What became of an upload: what was refused and why, and its studies' analyses as they go on. */
import "./api";
import "./submit.css";

import { Button, Callout, ProgressBar } from "@blueprintjs/core";
import { useEffect } from "react";
import { useSelector } from "react-redux";
import { useNavigate, useParams } from "react-router";

import { useGetUploadQuery } from "../../api/api";
import type { UploadOut } from "../../api/generated";
import { type RootState, useAppDispatch } from "../../app/store";
import { Heading } from "../../parts/Heading";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useLanguage, useWords } from "../../words/words";
import { RefusedFiles } from "./RefusedFiles";
import { reasonInWords } from "./refusals";
import { SetAsideList } from "./SetAsideList";
import { stood } from "./slice";
import { TakenStudy } from "./TakenStudy";
import { words } from "./words";

/** Events tell that an import has ended, not how far it is. */
const LOOK_EVERY_MS = 2000;

export default function Outcome() {
  const t = useWords(words);
  const { uploadId = "" } = useParams();
  const dispatch = useAppDispatch();
  const navigate = useNavigate();
  const { phase, uploadId: ours } = useSelector((state: RootState) => state.submit);
  const { data: upload, error, refetch } = useGetUploadQuery({ uploadId }, { refetchOnMountOrArgChange: true });
  useGetUploadQuery({ uploadId }, { pollingInterval: LOOK_EVERY_MS, skip: upload?.state !== "importing" });
  const mine = ours === uploadId;
  useEffect(() => {
    if (mine && phase === "sent") dispatch(stood({ phase: "seen" }));
  }, [dispatch, mine, phase]);
  return (
    <div className="submit outcome">
      <Heading>{t.outcome}</Heading>
      <ProblemNote problem={error} retry={() => void refetch()} />
      {!upload && !error && <Skeleton />}
      {upload && <Became upload={upload} />}
      {mine && <SetAsideList settled />}
      <div className="outcome-ways">
        <Button intent="primary" onClick={() => void navigate("/worklist")}>
          {t.toWorklist}
        </Button>
        <Button onClick={() => void navigate("/submit")}>{t.another}</Button>
      </div>
    </div>
  );
}

function Became({ upload }: { upload: UploadOut }) {
  const t = useWords(words);
  const language = useLanguage();
  const { state, studies, files_done: done, files_total: all, error } = upload;
  if (state === "open") return <Callout title={t.open}>{t.openHelp}</Callout>;
  if (state === "expired") {
    return (
      <Callout intent="warning" title={t.expired}>
        {t.expiredHelp}
      </Callout>
    );
  }
  return (
    <>
      {state === "importing" && (
        <div className="importing">
          <div role="status">
            <h2>{t.importing}</h2>
          </div>
          <ProgressBar value={all ? done / all : 0} intent="primary" aria-label={t.importBar} />
          <p>{t.imported(done, all)}</p>
        </div>
      )}
      {state === "refused" && (
        <div role="alert">
          <Callout intent="danger" title={t.refusedAll}>
            {error && reasonInWords(error.code, error.detail, language)}
          </Callout>
        </div>
      )}
      {state === "done" && (
        <div role="status">
          <Callout intent="success" title={t.done(studies.length)} />
        </div>
      )}
      {studies.map((study) => (
        <TakenStudy key={study.study_id} study={study} uploadId={upload.id} />
      ))}
      <RefusedFiles upload={upload} />
    </>
  );
}
