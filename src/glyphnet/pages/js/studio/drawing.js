// @ts-check
// A pad of the page's own, and what is drawn on it as a picture: made like the digits of MNIST, small and light on dark, so
// that drawings of many people and pictures of that kind can stand in one class.

import { drawingContext } from "../elements.js";
import { normalizeStrokes } from "../ink.js";
import { Pad } from "../pad.js";
import { pngOfCanvas } from "../png.js";
import { Sheet } from "../sheet.js";
import { useEffect, useRef } from "../vendor/preact-hooks.js";
import { t } from "./strings.js";
import { html } from "./ui.js";
/** @import { InkSpec } from "../ink.js" */

/** How MNIST's digits are made, as `measure_ink` in Python finds it. @type {InkSpec} */
export const DRAWN = {
  kind: "ink",
  background: 0,
  ink: 253,
  box: [20, 20],
  centring: "mass",
  centre: [14.49, 14.5],
  drift: 0.51,
  sizes: [0.85, 1.0],
  strokes: [1.463, 2.732],
  noise: 12,
  specks: 3,
  softness: 0.713,
  length: 4.781,
  levels: [174, 255],
  aspect: 0.659,
  stripes: true,
  image_shape: [28, 28, 1],
};

/** A grey picture of pixels, 0 to 255, as PNG. @type {(pixels: ArrayLike<number>, shape: number[]) => Promise<Blob>} */
export function pngOf(pixels, [height, width, channels]) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  for (let at = 0; at < width * height; at++) {
    for (let c = 0; c < 3; c++) image.data[4 * at + c] = pixels[at * channels + (channels === 3 ? c : 0)];
    image.data[4 * at + 3] = 255;
  }
  drawingContext(canvas).putImageData(image, 0, 0);
  return pngOfCanvas(canvas);
}

/** The drawing on a sheet as a picture of its class; null for an empty one. @type {(sheet: Sheet) => Promise<Blob | null>} */
export async function drawnPicture(sheet) {
  const pixels = sheet.empty ? null : normalizeStrokes(...sheet.pixels(), DRAWN);
  return pixels === null ? null : await pngOf(pixels, DRAWN.image_shape);
}

/**
 * The pad. `made` gets the sheet once, so that others can read and clear it.
 * @param {{ made: (sheet: Sheet, pad: Pad) => void, changed: (lifted: boolean) => void, label: string }} given
 */
export function DrawingPad({ made, changed, label }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const latest = useRef(changed);
  latest.current = changed;
  useEffect(() => {
    if (canvas.current === null) return;
    const sheet = new Sheet(1, 1);
    const pad = new Pad(canvas.current, sheet, (lifted) => latest.current(lifted));
    canvas.current.addEventListener("pointerdown", () => { // else Enter would go where one wrote before
      if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    });
    made(sheet, pad);
    pad.paint();
  }, []);
  return html`
    <div class="paper">
      <canvas ref=${canvas} id="pad" role="img" aria-label=${label}></canvas>
      <p class="invitation" aria-hidden="true">${t("draw_here")}</p>
    </div>
  `;
}
