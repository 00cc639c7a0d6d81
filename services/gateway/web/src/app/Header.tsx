import { Button, Menu, MenuDivider, MenuItem, PopoverNext } from "@blueprintjs/core";
import { LogOut, User } from "@blueprintjs/icons";
import { NavLink, useNavigate } from "react-router";

import type { Me } from "../api/generated";
import { Indicator } from "../features/submit/Indicator";
import { useLogOut } from "../features/wayin/session";
import { Mark } from "../parts/Mark";
import { useWords } from "../words/words";
import { MENU } from "./menu";
import { Settings } from "./Settings";
import { words } from "./words";

export function Header({ me }: { me: Me | undefined }) {
  const t = useWords(words);
  return (
    <header className="header">
      <Mark />
      <span className="header-facility">{me?.facility.name}</span>
      <nav aria-label={t.menu}>
        {MENU.filter(({ roles }) => me && roles.includes(me.role)).map(({ path, label }) => (
          <NavLink key={path} to={path}>
            {t[label]}
          </NavLink>
        ))}
      </nav>
      <Indicator />
      <Settings />
      {me && <PersonMenu me={me} />}
    </header>
  );
}

function PersonMenu({ me }: { me: Me }) {
  const t = useWords(words);
  const logOut = useLogOut();
  const navigate = useNavigate();
  const menu = (
    <Menu>
      <MenuDivider title={me.email ?? me.name} />
      <MenuItem icon={<User />} text={t.account} onClick={() => void navigate("/account")} />
      <MenuItem icon={<LogOut />} text={t.logOut} onClick={() => void logOut()} />
    </Menu>
  );
  return (
    <PopoverNext content={menu} placement="bottom-end">
      <Button variant="minimal" icon={<User />} aria-label={t.person(me.name)}>
        <span className="wide-only">{me.name}</span>
      </Button>
    </PopoverNext>
  );
}
