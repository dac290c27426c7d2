// @ts-check
// Pictures on canvases: values as colours, images, the plane with its points. Colours are those of the style sheet, so that
// light and dark are right.

import { drawingContext } from "../elements.js";
/** @import { Part } from "./samples.js" */

/** @typedef {[number, number, number]} Colour */
/** The colours of one painting: class 0 (blue), class 1 (orange), and what lies between. @typedef {{ low: Colour, high: Colour, middle: Colour, ink: string }} Palette */

/** @type {() => Palette} */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  /** @type {(name: string) => Colour} */
  const colour = (name) => {
    const text = style.getPropertyValue(name).trim();
    const long = text.length === 4 ? text.replace(/[0-9a-f]/gi, "$&$&") : text;
    return /** @type {Colour} */ ([1, 3, 5].map((at) => parseInt(long.slice(at, at + 2), 16)));
  };
  return {
    low: colour("--cool"),
    high: colour("--heat"),
    middle: colour("--surface"),
    ink: style.getPropertyValue("--ink"),
  };
}

/**
 * Paint values from -1 (blue) over 0 to 1 (orange), row by row.
 * @type {(canvas: HTMLCanvasElement, width: number, height: number, value: (at: number) => number, colours: Palette) => void}
 */
export function paintValues(canvas, width, height, value, { low, high, middle }) {
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  for (let at = 0; at < width * height; at++) {
    const strength = Math.max(-1, Math.min(1, value(at)));
    const end = strength < 0 ? low : high;
    for (let c = 0; c < 3; c++) image.data[4 * at + c] = middle[c] + Math.abs(strength) * (end[c] - middle[c]);
    image.data[4 * at + 3] = 255;
  }
  drawingContext(canvas).putImageData(image, 0, 0);
}

/**
 * Paint pixels, 0 to 255.
 * @type {(canvas: HTMLCanvasElement, [height, width, channels]: number[], pixels: ArrayLike<number>, start?: number) => void}
 */
export function paintPixels(canvas, [height, width, channels], pixels, start = 0) {
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  for (let at = 0; at < width * height; at++) {
    for (let c = 0; c < 3; c++) image.data[4 * at + c] = pixels[start + at * channels + (channels === 3 ? c : 0)];
    image.data[4 * at + 3] = 255;
  }
  drawingContext(canvas).putImageData(image, 0, 0);
}

/**
 * The plane from -1.2 to 1.2: what the network says at each place, and the points.
 * @type {(canvas: HTMLCanvasElement, side: number, region: Float32Array | null, train: Part, test: Part | null, colours: Palette) => void}
 */
export function paintPlane(canvas, side, region, train, test, colours) {
  const size = 480;
  Object.assign(canvas, { width: size, height: size });
  const context = drawingContext(canvas);
  if (region !== null) {
    const small = document.createElement("canvas");
    paintValues(small, side, side, (at) => 0.55 * (2 * region[at] - 1), colours);
    context.imageSmoothingEnabled = true;
    context.drawImage(small, 0, 0, size, size);
  }
  /** @type {(part: Part, radius: number) => void} */
  const dots = ({ x, labels }, radius) => {
    labels.forEach((label, row) => {
      context.beginPath();
      context.arc((x[2 * row] + 1.2) / 2.4 * size, (1.2 - x[2 * row + 1]) / 2.4 * size, radius, 0, 2 * Math.PI);
      context.fillStyle = `rgb(${(label ? colours.high : colours.low).join(" ")})`;
      context.fill();
      context.lineWidth = 1.5;
      context.strokeStyle = `rgb(${colours.middle.join(" ")})`;
      context.stroke();
    });
  };
  if (test !== null && test !== train) {
    context.globalAlpha = 0.35;
    dots(test, 4);
    context.globalAlpha = 1;
  }
  dots(train, 6);
}
