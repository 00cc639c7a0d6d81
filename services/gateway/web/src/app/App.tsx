/** Every address and the feature that answers it. Each feature loads when somebody goes there. */
import { lazy, useEffect } from "react";
import { useSelector } from "react-redux";
import { Navigate, Route, Routes } from "react-router";

import { useGetMeQuery } from "../api/api";
import { useLanguage } from "../words/words";
import { Inside } from "./Inside";
import { MENU } from "./menu";
import { Nowhere } from "./Nowhere";
import { Outside } from "./Outside";
import type { Theme } from "./preferences";
import type { RootState } from "./store";

const Login = lazy(() => import("../features/login/Login"));
const RequestAccess = lazy(() => import("../features/request/RequestAccess"));
const ConfirmAddress = lazy(() => import("../features/confirm/ConfirmAddress"));
const Join = lazy(() => import("../features/join/Join"));
const SecondFactor = lazy(() => import("../features/secondfactor/SecondFactor"));
const ForgottenPassword = lazy(() => import("../features/password/ForgottenPassword"));
const NewPassword = lazy(() => import("../features/password/NewPassword"));
const Submit = lazy(() => import("../features/submit/Submit"));
const Outcome = lazy(() => import("../features/submit/Outcome"));
const Analysis = lazy(() => import("../features/analysis/Analysis"));
const Worklist = lazy(() => import("../features/worklist/Worklist"));
const Platform = lazy(() => import("../features/platform/Platform"));
const Open = lazy(() => import("../features/open/Open"));
const Figures = lazy(() => import("../features/figures/Figures"));
const Account = lazy(() => import("../features/account/Account"));
const Admin = lazy(() => import("../features/admin/Admin"));

export function App() {
  useTheme();
  const language = useLanguage();
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  return (
    <Routes>
      <Route element={<Outside />}>
        <Route path="login" element={<Login />} />
        <Route path="access/request" element={<RequestAccess />} />
        <Route path="access/confirm" element={<ConfirmAddress />} />
        <Route path="access/join" element={<Join />} />
        <Route path="access/second-factor" element={<SecondFactor />} />
        <Route path="access/forgotten" element={<ForgottenPassword />} />
        <Route path="access/reset" element={<NewPassword />} />
      </Route>
      <Route element={<Inside />}>
        <Route index element={<Start />} />
        <Route path="worklist" element={<Worklist />} />
        <Route path="open" element={<Open />} />
        <Route path="figures" element={<Figures />} />
        <Route path="account" element={<Account />} />
        <Route path="submit" element={<Submit />} />
        <Route path="submit/:uploadId" element={<Outcome />} />
        <Route path="platform/:part?" element={<Platform />} />
        <Route path="analyses/:id" element={<Analysis />} />
        <Route path="admin/*" element={<Admin />} />
        <Route path="*" element={<Nowhere />} />
      </Route>
    </Routes>
  );
}

/** Everybody's first page is the first of their menu. */
function Start() {
  const { data: me } = useGetMeQuery();
  const first = MENU.find(({ roles }) => me && roles.includes(me.role));
  return first && <Navigate to={first.path} replace />;
}

/** Blueprint's dark theme is a class; set on the body, so that what opens above the page has it too. */
function useTheme() {
  const theme = useSelector((state: RootState) => state.preferences.theme);
  useEffect(() => {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const apply = () => {
      const dark = isDark(theme, system.matches);
      document.body.classList.toggle("bp6-dark", dark);
      document.documentElement.dataset.theme = dark ? "dark" : "light";
    };
    apply();
    system.addEventListener("change", apply);
    return () => system.removeEventListener("change", apply);
  }, [theme]);
}

function isDark(theme: Theme, system: boolean): boolean {
  return theme === "dark" || (theme === "system" && system);
}
