/** The operators' page: facilities, models, and how the parts of the platform fare. */
import "./platform.css";

import { Tab, Tabs } from "@blueprintjs/core";
import { useNavigate, useParams } from "react-router";

import { useGetMeQuery } from "../../api/api";
import { Nowhere } from "../../app/Nowhere";
import { Heading } from "../../parts/Heading";
import { useWords } from "../../words/words";
import { Facilities } from "./Facilities";
import { Health } from "./Health";
import { Models } from "./Models";
import { words } from "./words";

const PARTS = { facilities: Facilities, models: Models, health: Health } as const;
type Part = keyof typeof PARTS;
const NAMES = Object.keys(PARTS) as Part[];

export default function Platform() {
  const t = useWords(words);
  const navigate = useNavigate();
  const { part } = useParams();
  const { data: me } = useGetMeQuery();
  if (me && me.role !== "operator") return <Nowhere />;
  const chosen = NAMES.find((each) => each === part) ?? "facilities";
  const Shown = PARTS[chosen];
  return (
    <div className="platform">
      <Heading title={`${t[chosen]} · ${t.title}`}>{t.title}</Heading>
      <Tabs id="platform" size="large" selectedTabId={chosen} onChange={(to) => void navigate(`/platform/${to}`)}>
        {NAMES.map((name) => (
          <Tab key={name} id={name} title={t[name]} panel={name === chosen ? <Shown /> : <div />} />
        ))}
      </Tabs>
    </div>
  );
}
