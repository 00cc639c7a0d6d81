import { type ReactNode, useId } from "react";

interface Props {
  title: string;
  /** What can be done with all of it, at the title's side. */
  actions?: ReactNode;
  children: ReactNode;
}

/** A part of a page that stands for itself. */
export function Panel({ title, actions, children }: Props) {
  const id = useId();
  return (
    <section className="panel" aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {actions}
      </header>
      {children}
    </section>
  );
}
