// @ts-check
// A picture of 8×8 pixels and a map over it, side by side.

import { html } from "../elements.js";
import { paintPixels, paintValues, palette } from "../playground/paint.js";

/**
 * Fill a figure with a picture, a map of its pixels beside it, orange above 0 and blue below, and room for a chart; the room.
 * @type {(figure: HTMLElement, shape: import("../engine/layer.js").Shape, pixels: ArrayLike<number>, values: ArrayLike<number>, names: [string, string]) => HTMLElement}
 */
export function showWithMap(figure, shape, pixels, values, names) {
  const [picture, map] = names.map((text) => html("canvas", { role: "img", "aria-label": text }));
  paintPixels(picture, shape, pixels);
  const most = Math.max(...Array.from(values, Math.abs), 1e-6);
  paintValues(map, 8, 8, (at) => values[at] / most, palette());
  const chart = html("div", {});
  figure.replaceChildren(html("div", { class: "side" }, picture, map), chart);
  return chart;
}
