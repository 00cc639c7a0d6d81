import { Radio, RadioGroup } from "@blueprintjs/core";
import { useSelector } from "react-redux";

import { type Theme, languageChosen, themeChosen } from "../../app/preferences";
import { type RootState, useAppDispatch } from "../../app/store";
import { words as appWords } from "../../app/words";
import { Panel } from "../../parts/Panel";
import { LANGUAGES, type Language, useWords } from "../../words/words";
import { words } from "./words";

const THEMES: readonly Theme[] = ["light", "dark", "system"];

export function Appearance() {
  const t = useWords(words);
  const app = useWords(appWords);
  const dispatch = useAppDispatch();
  const { language, theme } = useSelector((state: RootState) => state.preferences);
  return (
    <Panel title={t.appearance}>
      <p className="quiet">{t.appearanceHelp}</p>
      <div className="side-by-side">
        <RadioGroup
          label={app.theme}
          selectedValue={theme}
          onChange={({ currentTarget }) => dispatch(themeChosen(currentTarget.value as Theme))}
        >
          {THEMES.map((each) => (
            <Radio key={each} value={each} label={app[each]} />
          ))}
        </RadioGroup>
        <RadioGroup
          label={app.language}
          selectedValue={language}
          onChange={({ currentTarget }) => dispatch(languageChosen(currentTarget.value as Language))}
        >
          {Object.entries(LANGUAGES).map(([each, name]) => (
            <Radio key={each} value={each} label={name} lang={each} />
          ))}
        </RadioGroup>
      </div>
    </Panel>
  );
}
