import { Button, NonIdealState } from "@blueprintjs/core";
import { Component, type ReactNode } from "react";

import { useWords } from "../words/words";
import { words } from "./words";

/** When a page breaks: says so, and offers the one thing that helps. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError() {
    return { broken: true };
  }

  override render() {
    return this.state.broken ? <Broken /> : this.props.children;
  }
}

function Broken() {
  const t = useWords(words);
  return (
    <main className="lone">
      <NonIdealState
        title={t.broken}
        description={t.brokenHelp}
        action={
          <Button intent="primary" onClick={() => location.reload()}>
            {t.reload}
          </Button>
        }
      />
    </main>
  );
}
