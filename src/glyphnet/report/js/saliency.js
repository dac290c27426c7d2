// @ts-check
// What the network looked at: signed maps as grey tiles, 128 for zero, drawn in blue (for) and orange (against).

import { html, thousands } from "../../pages/js/elements.js";
import { bytes, data, drawImage, drawTile } from "./data.js";

const tilesOfMaps = new Int32Array(bytes(data.saliency?.tiles ?? "")); // -1 for an image without a map
const FADED = 0.45; // how much of the image's own light is left beneath the map

/** @type {(i: number) => boolean} */
export function hasSaliency(i) {
  return tilesOfMaps[i] >= 0;
}

/**
 * A colour of the page, "#rrggbb", as [red, green, blue].
 * @type {(name: string) => number[]}
 */
function colourOf(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((start) => parseInt(text.slice(start, start + 2), 16));
}

/**
 * Draw the map of image i: alone, on nothing, or over the faded image.
 * @type {(canvas: HTMLCanvasElement, i: number, overImage: boolean) => void}
 */
export function drawSaliency(canvas, i, overImage) {
  const context = drawTile(canvas, "saliency", tilesOfMaps[i]);
  const { width, height } = canvas;
  const map = context.getImageData(0, 0, width, height).data;
  const under = overImage ? drawImage(canvas, i) : null;
  const pixels = under ? under.getImageData(0, 0, width, height) : new ImageData(width, height);
  const [good, bad] = [colourOf("--for"), colourOf("--against")];
  for (let at = 0; at < map.length; at += 4) {
    const value = (map[at] - 128) / 120;
    const strength = Math.abs(value);
    const colour = value > 0 ? good : bad;
    const out = pixels.data;
    if (under) {
      const grey = FADED * (0.3 * out[at] + 0.59 * out[at + 1] + 0.11 * out[at + 2]);
      for (let c = 0; c < 3; c++) out[at + c] = grey * (1 - strength) + colour[c] * strength;
    } else {
      for (let c = 0; c < 3; c++) out[at + c] = colour[c];
      out[at + 3] = 255 * strength;
    }
  }
  context.putImageData(pixels, 0, 0);
}

/**
 * What the colours mean, in words.
 * @type {(i: number, name: string) => (Node | string)[]}
 */
export function saliencyLegend(i, name) {
  if (!hasSaliency(i)) {
    return [
      `No map for this image: the page has them for ${thousands(data.saliency?.count ?? 0)}, the most telling first.`,
    ];
  }
  return [
    html("span", {}, html("i", { class: "for" }), `speaks for “${name}”`),
    html("span", {}, html("i", { class: "against" }), "against it"),
  ];
}
