import "normalize.css";
import "@blueprintjs/core/lib/css/blueprint.css";
import "./app/app.css";

import { BlueprintProvider } from "@blueprintjs/core";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Provider } from "react-redux";
import { BrowserRouter } from "react-router";

import { App } from "./app/App";
import { ErrorBoundary } from "./app/ErrorBoundary";
import { loadPreferences } from "./app/preferences";
import { makeStore } from "./app/store";

const root = document.getElementById("app");
if (!root) throw new Error("index.html has no #app");

createRoot(root).render(
  <StrictMode>
    <Provider store={makeStore(loadPreferences())}>
      <BlueprintProvider>
        <BrowserRouter>
          <ErrorBoundary>
            <App />
          </ErrorBoundary>
        </BrowserRouter>
      </BlueprintProvider>
    </Provider>
  </StrictMode>,
);
