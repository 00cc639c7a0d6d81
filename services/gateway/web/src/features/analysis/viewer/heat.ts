/** What argues for a finding, laid over the slice in sight. A second image of Cornerstone's vanished when one scrolled. */
import { bytes } from "../../../api/bytes";

const KEPT = 60;

/** The pictures of one finding, fetched once each; ask only for slices that the model read. */
export class Heatmaps {
  private readonly kept = new Map<number, Promise<ImageBitmap>>();
  private readonly path: string;

  constructor(analysisId: string, label: string) {
    this.path = `/api/v1/analyses/${analysisId}/slices/:n/heatmap.png?label=${encodeURIComponent(label)}`;
  }

  of(n: number): Promise<ImageBitmap> {
    const there = this.kept.get(n);
    if (there) return there;
    const asked = this.draw(n);
    this.kept.set(n, asked);
    asked.catch(() => this.kept.delete(n));
    const [oldest] = this.kept.keys();
    if (this.kept.size > KEPT && oldest !== undefined) this.kept.delete(oldest);
    return asked;
  }

  private async draw(n: number): Promise<ImageBitmap> {
    const answer = await bytes(this.path.replace(":n", String(n)));
    return createImageBitmap(await answer.blob());
  }
}

/** Where the image's corners lie on the screen, in CSS pixels. */
export interface Corners {
  topLeft: readonly [number, number];
  topRight: readonly [number, number];
  bottomLeft: readonly [number, number];
}

export function paint(canvas: HTMLCanvasElement, picture: ImageBitmap | null, corners: Corners | undefined): void {
  const density = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * density), Math.round(canvas.clientHeight * density)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  if (!context) return;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  if (!picture || !corners) return;
  const { topLeft, topRight, bottomLeft } = corners;
  const along = (to: readonly [number, number], axis: 0 | 1, pixels: number) => ((to[axis] - topLeft[axis]) * density) / pixels;
  context.setTransform(
    along(topRight, 0, picture.width),
    along(topRight, 1, picture.width),
    along(bottomLeft, 0, picture.height),
    along(bottomLeft, 1, picture.height),
    topLeft[0] * density,
    topLeft[1] * density,
  );
  context.drawImage(picture, 0, 0);
}
