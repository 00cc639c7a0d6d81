/** A chart as a PNG with its title and legend, in the colours in which it is seen. */

const SCALE = 2;
const MARGIN = 16;
const HEAD = 52;
const ROW = 20;
const SWATCH = 12;
/** What the page's styles give to shapes and text: a picture has no style sheet. */
const KEPT = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "stroke-opacity",
  "opacity",
  "font-family",
  "font-size",
  "text-anchor",
] as const;

export async function drawn(svg: SVGSVGElement, title: string, about: string, names: readonly string[]): Promise<Blob> {
  const { width, height } = svg.getBoundingClientRect();
  const plot = await image(standalone(svg, width, height));
  const page = getComputedStyle(svg.closest(".chart") ?? svg);
  const font = page.fontFamily;
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d")!;
  const legend = placed(names, width, (text) => {
    pen.font = `12px ${font}`;
    return pen.measureText(text).width;
  });
  canvas.width = (width + 2 * MARGIN) * SCALE;
  canvas.height = (HEAD + height + (legend.at(-1)?.y ?? 0) + ROW + 2 * MARGIN) * SCALE;
  pen.scale(SCALE, SCALE);
  pen.fillStyle = page.backgroundColor;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.textBaseline = "top";
  pen.fillStyle = page.color;
  pen.font = `600 16px ${font}`;
  pen.fillText(title, MARGIN, MARGIN);
  pen.font = `12px ${font}`;
  pen.fillText(about, MARGIN, MARGIN + 24);
  pen.drawImage(plot, MARGIN, HEAD, width, height);
  for (const [at, { name, x, y }] of legend.entries()) {
    const top = HEAD + height + MARGIN / 2 + y;
    pen.fillStyle = page.getPropertyValue(`--series-${at + 1}`).trim();
    pen.fillRect(MARGIN + x, top, SWATCH, SWATCH);
    pen.fillStyle = page.color;
    pen.fillText(name, MARGIN + x + SWATCH + 6, top);
  }
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png");
  });
}

/** The chart's SVG by itself: every style as an attribute. */
function standalone(svg: SVGSVGElement, width: number, height: number): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const made = all(copy);
  all(svg).forEach((element, at) => {
    const style = getComputedStyle(element);
    const target = made[at]!;
    target.removeAttribute("style");
    target.removeAttribute("class");
    for (const name of KEPT) target.setAttribute(name, style.getPropertyValue(name));
  });
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  return new XMLSerializer().serializeToString(copy);
}

function all(root: Element): Element[] {
  return [root, ...root.querySelectorAll("*")];
}

async function image(svg: string): Promise<HTMLImageElement> {
  const made = new Image();
  made.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await made.decode();
  return made;
}

/** The legend's entries in rows that fit. */
function placed(names: readonly string[], width: number, measure: (text: string) => number) {
  let [x, y] = [0, 0];
  return names.map((name) => {
    const wide = SWATCH + 6 + measure(name) + 18;
    if (x > 0 && x + wide > width) [x, y] = [0, y + ROW];
    const place = { name, x, y };
    x += wide;
    return place;
  });
}
