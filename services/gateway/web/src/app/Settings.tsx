/** Theme and language, for everybody, also before logging in. */
import { Button, Menu, MenuDivider, MenuItem, PopoverNext } from "@blueprintjs/core";
import { Cog } from "@blueprintjs/icons";
import { useSelector } from "react-redux";

import { LANGUAGES, type Language, useWords } from "../words/words";
import { languageChosen, type Theme, themeChosen } from "./preferences";
import { type RootState, useAppDispatch } from "./store";
import { words } from "./words";

const THEMES: readonly Theme[] = ["light", "dark", "system"];

export function Settings() {
  const t = useWords(words);
  const { language, theme } = useSelector((state: RootState) => state.preferences);
  const dispatch = useAppDispatch();
  const menu = (
    <Menu>
      <MenuDivider title={t.theme} />
      {THEMES.map((each) => (
        <MenuItem
          key={each}
          roleStructure="listoption"
          selected={each === theme}
          text={t[each]}
          onClick={() => dispatch(themeChosen(each))}
        />
      ))}
      <MenuDivider title={t.language} />
      {(Object.entries(LANGUAGES) as [Language, string][]).map(([each, name]) => (
        <MenuItem
          key={each}
          lang={each}
          roleStructure="listoption"
          selected={each === language}
          text={name}
          onClick={() => dispatch(languageChosen(each))}
        />
      ))}
    </Menu>
  );
  return (
    <PopoverNext content={menu} placement="bottom-end">
      <Button variant="minimal" icon={<Cog />} aria-label={`${t.theme}, ${t.language}`} />
    </PopoverNext>
  );
}
