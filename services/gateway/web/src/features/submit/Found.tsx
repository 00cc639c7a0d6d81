/** What the files are, before anything is sent: whose, which studies, how many series. */
import { Callout, Checkbox, HTMLTable, Tag } from "@blueprintjs/core";
import { useSelector } from "react-redux";

import { type RootState, useAppDispatch } from "../../app/store";
import { useLanguage, useWords } from "../../words/words";
import { date, size } from "./amounts";
import { choose } from "./gathering";
import type { PatientFound, StudyFound } from "./gathered";
import { readableName } from "./look";
import { words } from "./words";

export function Found() {
  const t = useWords(words);
  const { patients, untold } = useSelector((state: RootState) => state.submit);
  return (
    <>
      {patients.length > 1 && (
        <Callout intent="warning" title={t.severalPatients(patients.length)} role="alert">
          {t.severalPatientsHelp}
        </Callout>
      )}
      {patients.map((patient) => (
        <OnePatient key={patient.key} patient={patient} />
      ))}
      {untold.files > 0 && <Callout compact>{t.untold(untold.files)}</Callout>}
    </>
  );
}

function OnePatient({ patient }: { patient: PatientFound }) {
  const t = useWords(words);
  const language = useLanguage();
  const facts = [patient.id, patient.sex, patient.birthDate && t.born(date(patient.birthDate, language))].filter(Boolean);
  const name = readableName(patient.name) || t.unnamed;
  return (
    <section className="found" aria-label={`${t.patient}: ${name}`}>
      <h2>
        {name} <span className="quiet">{facts.join(" · ")}</span>
      </h2>
      {patient.studies.map((study) => (
        <OneStudy key={study.uid} study={study} />
      ))}
    </section>
  );
}

function OneStudy({ study }: { study: StudyFound }) {
  const t = useWords(words);
  const language = useLanguage();
  const dispatch = useAppDispatch();
  const { left, phase, earlier } = useSelector((state: RootState) => state.submit);
  const name = study.description || t.noStudyDescription;
  const facts = [date(study.date, language), study.accession && t.accession(study.accession)].filter(Boolean);
  const sent = !left.includes(study.uid);
  return (
    <div className={sent ? "" : "left-out"}>
      <Checkbox
        checked={sent}
        disabled={phase === "looking" || earlier !== null}
        aria-label={t.sendStudy(name)}
        onChange={() => void dispatch(choose({ left: sent ? [...left, study.uid] : left.filter((uid) => uid !== study.uid) }))}
      >
        <strong>{name}</strong> <span className="quiet">{facts.join(" · ")}</span>
      </Checkbox>
      {study.mixed && (
        <Callout intent="danger" compact>
          {t.mixed}
        </Callout>
      )}
      <HTMLTable compact className="series-table">
        <thead>
          <tr>
            <th scope="col">{t.series}</th>
            <th scope="col" className="number">
              {t.slicesHead}
            </th>
            <th scope="col" className="number">
              {t.sizeHead}
            </th>
          </tr>
        </thead>
        <tbody>
          {study.series.map(({ uid, number, description, modality, files, bytes }) => (
            <tr key={uid}>
              <td>
                {modality && <Tag minimal>{modality}</Tag>} {number} {description || <span className="quiet">{t.noSeriesDescription}</span>}
              </td>
              <td className="number">{files}</td>
              <td className="number">{size(bytes, language)}</td>
            </tr>
          ))}
        </tbody>
      </HTMLTable>
    </div>
  );
}
