import { Button, ButtonGroup, Slider, Switch, Tooltip } from "@blueprintjs/core";
import { ArrowsHorizontal, Contrast, Eraser, Move, Search, ZoomIn, ZoomOut, ZoomToFit } from "@blueprintjs/icons";
import type { ReactElement } from "react";

import { useWords } from "../../../words/words";
import { words } from "../words";
import type { Action } from "./keys";
import { type Preset, WINDOWS, type Window, presetOf } from "./series";
import type { Tool } from "./stage";

interface Props {
  tool: Tool;
  onTool: (tool: Tool) => void;
  window: Window;
  onPreset: (preset: Preset) => void;
  onAction: (action: Action) => void;
  measured: number;
  /** Whether the pixels' size is known. */
  measurable: boolean;
  /** Whether the heatmap is shown; undefined: there is none. */
  heat: boolean | undefined;
  onHeat: (heat: boolean) => void;
  opacity: number;
  onOpacity: (opacity: number) => void;
}

const LARGER = 1.25;

export function Toolbar(props: Props) {
  const t = useWords(words);
  const { tool, onTool, window, onPreset, onAction, measured, measurable, heat, onHeat, opacity, onOpacity } = props;
  const preset = presetOf(window);
  const tools: [Tool, string, ReactElement][] = [
    ["window", t.toolWindow, <Contrast key="window" />],
    ["pan", t.toolPan, <Move key="pan" />],
    ["zoom", t.toolZoom, <Search key="zoom" />],
    ["measure", measurable ? t.toolMeasure : t.noSpacing, <ArrowsHorizontal key="measure" />],
  ];
  const views: [string, Action, ReactElement][] = [
    [t.zoomIn, { kind: "zoom", factor: LARGER }, <ZoomIn key="in" />],
    [t.zoomOut, { kind: "zoom", factor: 1 / LARGER }, <ZoomOut key="out" />],
    [t.reset, { kind: "reset" }, <ZoomToFit key="reset" />],
  ];
  return (
    <div className="viewer-tools">
      <ButtonGroup role="group" aria-label={t.windowing}>
        {(Object.keys(WINDOWS) as Preset[]).map((each) => (
          <Button
            key={each}
            size="small"
            intent={each === preset ? "primary" : "none"}
            aria-pressed={each === preset}
            onClick={() => onPreset(each)}
          >
            {t[each]}
          </Button>
        ))}
      </ButtonGroup>
      <ButtonGroup role="group" aria-label={t.tools}>
        {tools.map(([each, label, icon]) => (
          <Tooltip key={each} content={label} placement="bottom">
            <Button
              size="small"
              icon={icon}
              aria-label={label}
              intent={each === tool ? "primary" : "none"}
              aria-pressed={each === tool}
              disabled={each === "measure" && !measurable}
              onClick={() => onTool(each)}
            />
          </Tooltip>
        ))}
      </ButtonGroup>
      <ButtonGroup role="group" aria-label={t.view}>
        {views.map(([label, action, icon]) => (
          <Tooltip key={label} content={label} placement="bottom">
            <Button size="small" icon={icon} aria-label={label} onClick={() => onAction(action)} />
          </Tooltip>
        ))}
        {measured > 0 && (
          <Tooltip content={t.clearMeasurements(measured)} placement="bottom">
            <Button
              size="small"
              icon={<Eraser />}
              aria-label={t.clearMeasurements(measured)}
              onClick={() => onAction({ kind: "clear" })}
            />
          </Tooltip>
        )}
      </ButtonGroup>
      {heat !== undefined && (
        <div className="heat-tools">
          <Switch checked={heat} label={t.heatmap} onChange={({ currentTarget }) => onHeat(currentTarget.checked)} />
          <Slider
            min={0}
            max={1}
            stepSize={0.05}
            labelRenderer={false}
            value={opacity}
            disabled={!heat}
            onChange={onOpacity}
            handleHtmlProps={{ "aria-label": t.opacity }}
          />
        </div>
      )}
    </div>
  );
}
