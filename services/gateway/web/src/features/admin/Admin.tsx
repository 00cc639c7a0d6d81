/** The facility's administration: its sub-pages, each at an address of its own, and a wall around them. */
import "./admin.css";

import { Tag } from "@blueprintjs/core";
import { Suspense, lazy, useEffect, useRef } from "react";
import { NavLink, Navigate, Route, Routes, useLocation } from "react-router";

import { useGetMeQuery } from "../../api/api";
import { NotAllowed, Nowhere } from "../../app/Nowhere";
import { Skeleton } from "../../parts/Skeleton";
import { useWords } from "../../words/words";
import { useAccessRequestsInfiniteQuery } from "./api";
import { WAITING } from "./requests/waiting";
import { words } from "./words";

const PAGES = [
  { path: "requests", page: lazy(() => import("./requests/Requests")) },
  { path: "invitations", page: lazy(() => import("./invitations/Invitations")) },
  { path: "members", page: lazy(() => import("./members/Members")) },
  { path: "clients", page: lazy(() => import("./clients/Clients")) },
  { path: "webhooks", page: lazy(() => import("./webhooks/Webhooks")) },
  { path: "images", page: lazy(() => import("./images/Images")) },
  { path: "audit", page: lazy(() => import("./audit/Audit")) },
  { path: "checklist", page: lazy(() => import("./checklist/Checklist")) },
] as const;
const Webhook = lazy(() => import("./webhooks/Webhook"));

export default function Admin() {
  const { data: me } = useGetMeQuery();
  return me?.role === "admin" ? <Inner /> : <NotAllowed />;
}

function Inner() {
  const t = useWords(words);
  const nav = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  useEffect(() => {
    // On a narrow screen the entries scroll sideways: where one is, is seen.
    const here = pathname.split("/").slice(0, 3).join("/");
    nav.current?.querySelector(`[href="${here}"]`)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [pathname]);
  return (
    <div className="admin">
      <nav ref={nav} aria-label={t.administration}>
        {PAGES.map(({ path }) => (
          <NavLink key={path} to={`/admin/${path}`}>
            {t[path]}
            {path === "requests" && <Waiting />}
          </NavLink>
        ))}
      </nav>
      <div className="admin-page">
        <Suspense fallback={<Skeleton />}>
          <Routes>
            <Route index element={<Navigate to="/admin/requests" replace />} />
            {PAGES.map(({ path, page: Page }) => (
              <Route key={path} path={path} element={<Page />} />
            ))}
            <Route path="webhooks/:webhookId" element={<Webhook />} />
            <Route path="*" element={<Nowhere />} />
          </Routes>
        </Suspense>
      </div>
    </div>
  );
}

/** How many requests nobody has decided yet. */
function Waiting() {
  const t = useWords(words);
  const { data } = useAccessRequestsInfiniteQuery(...WAITING);
  const count = data?.pages.reduce((sum, { items }) => sum + items.length, 0) ?? 0;
  return count > 0 ? (
    <Tag round intent="primary" aria-label={t.waiting(count)}>
      {count}
    </Tag>
  ) : null;
}
