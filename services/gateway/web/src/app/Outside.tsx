/** Around the pages of the way in: whose they are, and nothing that distracts. */
import { NonIdealState } from "@blueprintjs/core";
import { Outlet } from "react-router";

import { useGetFacilityQuery } from "../api/api";
import { asProblem } from "../api/problems";
import { Mark } from "../parts/Mark";
import { useWords } from "../words/words";
import { Frame } from "./Frame";
import { Settings } from "./Settings";
import { words } from "./words";

export function Outside() {
  const t = useWords(words);
  const { data: facility, error } = useGetFacilityQuery();
  const unknown = asProblem(error)?.status === 404;
  const header = (
    <header className="bare-header">
      <Mark />
      <Settings />
    </header>
  );
  return (
    <Frame header={header} kind="outside">
      {unknown ? (
        <NonIdealState title={t.noFacility} description={t.noFacilityHelp} />
      ) : (
        <div className="card">
          <p className="facility">{facility?.name ?? " "}</p>
          <Outlet />
        </div>
      )}
    </Frame>
  );
}
