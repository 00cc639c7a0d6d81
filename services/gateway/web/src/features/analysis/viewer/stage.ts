/** Cornerstone behind what the viewer needs of it: one element that shows slices of one series. */
import {
  Enums,
  RenderingEngine,
  type StackViewport,
  type Types,
  eventTarget,
  getRenderingCapabilities,
  getShouldUseCPURendering,
  init,
  setUseCPURendering,
} from "@cornerstonejs/core";
import {
  Enums as ToolEnums,
  LengthTool,
  PanTool,
  ToolGroupManager,
  WindowLevelTool,
  ZoomTool,
  addTool,
  annotation,
  init as initTools,
} from "@cornerstonejs/tools";

import { type Problem, asProblem } from "../../../api/problems";
import { Ahead } from "./ahead";
import type { Corners } from "./heat";
import { fetchSlice, forget, imageId, know, registerLoader, sliceOf } from "./loader";
import { type Series, WINDOWS, type Window, placeOf } from "./series";

export type Tool = "window" | "pan" | "zoom" | "measure";

export interface Audience {
  /** A slice was drawn, or drawn anew: after a zoom, say. */
  onPainted: (n: number) => void;
  onRetry: () => void;
  onWindow: (window: Window) => void;
  onFailed: (n: number, problem: Problem) => void;
  onMeasured: (count: number) => void;
}

const TOOLS: Record<Tool, string> = {
  window: WindowLevelTool.toolName,
  pan: PanTool.toolName,
  zoom: ZoomTool.toolName,
  measure: LengthTool.toolName,
};
const { MouseBindings, Events: ToolEvents } = ToolEnums;
const VIEW = "view";

let ready = false;
let stages = 0;

function setUp(): void {
  if (ready) return;
  init();
  if (getRenderingCapabilities().softwareRasterizer) setUseCPURendering(true);
  initTools();
  registerLoader();
  [WindowLevelTool, PanTool, ZoomTool, LengthTool].forEach((tool) => addTool(tool));
  ready = true;
}

export class Stage {
  private readonly engine: RenderingEngine;
  private readonly viewport: StackViewport;
  private readonly ahead: Ahead;
  private readonly resized: ResizeObserver;
  private readonly element: HTMLDivElement;
  private readonly series: Series;
  private readonly audience: Audience;
  private readonly name = `stage-${(stages += 1)}`;
  private readonly ids: string[];
  private wanted = -1;
  private started = false;
  /** What Cornerstone was last asked to show. */
  private begun: Promise<unknown> = Promise.resolve();

  constructor(element: HTMLDivElement, series: Series, audience: Audience) {
    setUp();
    this.element = element;
    this.series = series;
    this.audience = audience;
    know(series);
    this.ids = series.items.map(({ n }) => imageId(series, n));
    this.engine = new RenderingEngine(this.name);
    this.engine.enableElement({
      viewportId: VIEW,
      type: Enums.ViewportType.STACK,
      element,
      defaultOptions: { background: [0, 0, 0] },
    });
    this.viewport = this.engine.getViewport(VIEW) as StackViewport;
    this.ahead = new Ahead(this.ids.length, (n) => fetchSlice(series, n));
    element.addEventListener(Enums.Events.IMAGE_RENDERED, this.painted);
    element.addEventListener(Enums.Events.VOI_MODIFIED, this.windowed);
    eventTarget.addEventListener(ToolEvents.ANNOTATION_COMPLETED, this.measured);
    eventTarget.addEventListener(ToolEvents.ANNOTATION_REMOVED, this.measured);
    this.resized = new ResizeObserver(() => this.engine.resize(true, true));
    this.resized.observe(element);
    this.takeTools();
  }

  /** Begin or go on with this slice; what is in sight now stays until it is there. */
  show(n: number): void {
    if (n === this.wanted) return;
    this.wanted = n;
    fetchSlice(this.series, n)
      .then(() => (this.wanted === n ? this.bring(n) : undefined))
      .catch((error: unknown) => {
        const problem = asProblem(error);
        if (this.wanted === n && problem) this.audience.onFailed(n, problem);
      });
    this.ahead.look(n);
  }

  private async bring(n: number): Promise<void> {
    const begun = this.started;
    this.started = true;
    this.begun = begun ? this.viewport.setImageIdIndex(n) : this.viewport.setStack(this.ids, n);
    await this.begun;
  }

  /** Try a slice again that failed. */
  again(): void {
    const n = this.wanted;
    this.audience.onRetry();
    this.wanted = -1;
    this.show(n);
  }

  /** Which slice the pixels in sight are. */
  get inSight(): number | undefined {
    const image = this.viewport.getCornerstoneImage() as Types.IImage | undefined;
    return image && sliceOf(image.imageId);
  }

  setWindow({ level, width }: Window): void {
    this.viewport.setProperties({ voiRange: { lower: level - width / 2, upper: level + width / 2 } });
    this.viewport.render();
  }

  hold(tool: Tool): void {
    const group = ToolGroupManager.getToolGroup(this.name);
    if (!group) return;
    const held = [{ mouseButton: MouseBindings.Primary }, { numTouchPoints: 1 }];
    for (const each of Object.keys(TOOLS) as Tool[]) {
      const always = ALWAYS[each] ?? [];
      const bindings = each === tool ? [...held, ...always] : always;
      group.setToolPassive(TOOLS[each], { removeAllBindings: true }); // else the old ones stay
      if (bindings.length > 0) group.setToolActive(TOOLS[each], { bindings });
    }
  }

  zoom(factor: number): void {
    this.viewport.setZoom(this.viewport.getZoom() * factor);
    this.viewport.render();
  }

  pan(across: number, down: number): void {
    const [x, y] = this.viewport.getPan();
    this.viewport.setPan([x + across, y + down]);
    this.viewport.render();
  }

  /** The whole image, in the lung window. */
  reset(): void {
    this.viewport.resetCamera();
    this.setWindow(WINDOWS.lung);
  }

  clearMeasurements(): void {
    for (const { annotationUID } of this.measurements()) {
      if (annotationUID) annotation.state.removeAnnotation(annotationUID);
    }
    this.viewport.render();
  }

  corners(): Corners | undefined {
    const n = this.inSight;
    if (n === undefined) return undefined;
    // Cornerstone counts from the first pixel's corner where the processor draws, from its centre where the GPU does.
    const first = getShouldUseCPURendering() ? 0 : -0.5;
    const { columns, rows } = this.series;
    const at = (column: number, row: number) =>
      this.viewport.worldToCanvas(placeOf(this.series, n, column + first, row + first)) as readonly [number, number];
    return { topLeft: at(0, 0), topRight: at(columns, 0), bottomLeft: at(0, rows) };
  }

  end(): void {
    this.wanted = -1; // what comes now is for nobody
    this.viewport.render = () => undefined; // which Cornerstone calls for a slice that it has begun to bring
    this.ahead.stop();
    this.clearMeasurements();
    this.resized.disconnect();
    this.element.removeEventListener(Enums.Events.IMAGE_RENDERED, this.painted);
    this.element.removeEventListener(Enums.Events.VOI_MODIFIED, this.windowed);
    eventTarget.removeEventListener(ToolEvents.ANNOTATION_COMPLETED, this.measured);
    eventTarget.removeEventListener(ToolEvents.ANNOTATION_REMOVED, this.measured);
    ToolGroupManager.destroyToolGroup(this.name);
    this.engine.destroy();
    forget(this.series, this.begun);
  }

  private takeTools(): void {
    const group = ToolGroupManager.createToolGroup(this.name);
    if (!group) throw new Error("a tool group of this name is there");
    Object.values(TOOLS).forEach((tool) => group.addTool(tool));
    group.addViewport(VIEW, this.name);
    this.hold("window");
  }

  private measurements() {
    return annotation.state
      .getAllAnnotations()
      .filter(({ metadata }) => metadata?.referencedImageId?.startsWith(imageId(this.series, 0).slice(0, -1)));
  }

  private readonly painted = () => {
    const n = this.inSight;
    if (n !== undefined) this.audience.onPainted(n);
  };

  private readonly windowed = (event: Event) => {
    const { lower, upper } = (event as CustomEvent<{ range: { lower: number; upper: number } }>).detail.range;
    this.audience.onWindow({ level: Math.round((lower + upper) / 2), width: Math.round(upper - lower) });
  };

  private readonly measured = () => {
    this.audience.onMeasured(this.measurements().length);
  };
}

/** What the other buttons and two fingers do, whichever tool is held. */
const ALWAYS: Partial<Record<Tool, { mouseButton?: number; numTouchPoints?: number }[]>> = {
  pan: [{ mouseButton: MouseBindings.Auxiliary }],
  zoom: [{ mouseButton: MouseBindings.Secondary }, { numTouchPoints: 2 }],
};

