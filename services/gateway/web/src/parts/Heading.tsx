import { type ReactNode, useEffect, useRef } from "react";
import { useLocation } from "react-router";

/** A page's title, also in the tab. Whoever comes from another page is told by having the focus put here. */
export function Heading({ children, title }: { children: ReactNode; title?: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const { key } = useLocation();
  const text = title ?? (typeof children === "string" ? children : "");
  useEffect(() => {
    const taken = document.activeElement?.matches("input, textarea, select");
    if (key !== "default" && !taken) heading.current?.focus({ preventScroll: true });
  }, [key]);
  return (
    <>
      <title>{`${text} · CoDetect`}</title>
      <h1 ref={heading} tabIndex={-1}>
        {children}
      </h1>
    </>
  );
}
