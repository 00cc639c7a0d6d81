/** Where a link from a PACS arrives: finds the study by what it is called there, and opens the analysis of it that stands. */
import "./open.css";

import { Button, NonIdealState, Tag } from "@blueprintjs/core";
import { useEffect, useState } from "react";
import { Link, useLocation, useNavigate } from "react-router";

import { api } from "../../api/api";
import type { AnalysisOut, FindRequest } from "../../api/generated";
import { type AppDispatch, useAppDispatch } from "../../app/store";
import { Field } from "../../parts/Field";
import { Heading } from "../../parts/Heading";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useLanguage, useWords } from "../../words/words";
import { toOpen } from "../analysis/place";
import { calledIn } from "./called";
import { words } from "./words";

interface Found {
  studies: number;
  analyses: AnalysisOut[];
}

interface Answer {
  found: Found;
  byAccession: boolean;
}

const MOST_STUDIES = 10;

export default function Open() {
  const t = useWords(words);
  const { search, hash } = useLocation();
  const called = calledIn(search, hash);
  const [answer, setAnswer] = useState<Answer>();
  return (
    <div className="open">
      <Heading>{t.title}</Heading>
      {called && <Finding key={search + hash} called={called} onAnswer={setAnswer} />}
      {!called && (answer ? <Choice {...answer} /> : <Asking />)}
    </div>
  );
}

function Finding({ called, onAnswer }: { called: FindRequest; onAnswer: (answer: Answer) => void }) {
  const dispatch = useAppDispatch();
  const navigate = useNavigate();
  const [problem, setProblem] = useState<unknown>();
  useEffect(() => {
    let here = true;
    find(dispatch, called)
      .then((answer) => {
        if (!here) return;
        const [only] = answer.analyses;
        const single = only && answer.analyses.length === 1;
        if (!single) onAnswer({ found: answer, byAccession: Boolean(called.accession_number) });
        // In place of this address: what the study is called elsewhere stays in no history.
        void navigate(single ? `/analyses/${only.id}` : "/open", { replace: true });
      })
      .catch((error: unknown) => here && setProblem(error));
    return () => {
      here = false;
    };
    // oxlint-disable-next-line react/exhaustive-deps -- looked for once: another address is another component
  }, []);
  return problem ? <ProblemNote problem={problem} /> : <Skeleton lines={3} />;
}

function Choice({ found, byAccession }: Answer) {
  const t = useWords(words);
  const language = useLanguage();
  if (found.analyses.length === 0) {
    const help = byAccession ? t.noneByAccession : t.noneByUid;
    return (
      <NonIdealState
        title={found.studies ? t.unread : t.none}
        description={found.studies ? t.unreadHelp : help}
        action={<Link to="/worklist">{t.toWorklist}</Link>}
      />
    );
  }
  return (
    <>
      <p>{t.several}</p>
      <ul className="open-choice">
        {found.analyses.map(({ id, created_at, model, study_id }) => (
          <li key={id}>
            <Link to={`/analyses/${id}`} replace>
              {new Date(created_at).toLocaleString(language, { dateStyle: "long", timeStyle: "short" })}
            </Link>{" "}
            <Tag minimal>{model.title ?? model.name}</Tag> <span className="quiet">{study_id.slice(-8)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

function Asking() {
  const t = useWords(words);
  const navigate = useNavigate();
  const [accession, setAccession] = useState("");
  const [uid, setUid] = useState("");
  const go = () => {
    const [name, value] = accession.trim() ? ["accession", accession] : ["study_uid", uid];
    void navigate({ pathname: "/open", hash: new URLSearchParams({ [name]: value.trim() }).toString() });
  };
  return (
    <form
      className="open-form"
      onSubmit={(event) => {
        event.preventDefault();
        go();
      }}
    >
      <Field label={t.accession} hint={t.accessionHint} value={accession} onValue={setAccession} maxLength={64} />
      <Field label={t.uid} value={uid} onValue={setUid} maxLength={64} disabled={accession.trim() !== ""} />
      <Button type="submit" intent="primary" size="large" text={t.open} disabled={!accession.trim() && !uid.trim()} />
    </form>
  );
}

/** The analysis that stands of each study that is called so. Throws the problem that came up. */
async function find(dispatch: AppDispatch, findRequest: FindRequest): Promise<Found> {
  const { study_ids: ids } = await dispatch(api.endpoints.findStudies.initiate({ findRequest }, { track: false })).unwrap();
  const newest = ids.slice(0, MOST_STUDIES).map(async (studyId) => {
    const request = api.endpoints.listAnalyses.initiate({ studyId, limit: 50 }, { subscribe: false, forceRefetch: true });
    return toOpen((await dispatch(request).unwrap()).items);
  });
  const analyses = (await Promise.all(newest)).filter((each) => each !== undefined);
  return { studies: ids.length, analyses };
}
