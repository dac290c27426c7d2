// @ts-check
// The frame of every chart: axes with round ticks, in an SVG as wide as its figure.

import { svg } from "../../pages/js/elements.js";

/**
 * The ranges of both axes, their ticks and how these are written; xName: what stands under the x axis.
 * @typedef {{
 *   x: [low: number, high: number], y: [low: number, high: number], xTicks: number[], yTicks: number[],
 *   xFormat: (tick: number) => string, yFormat: (tick: number) => string, xName?: string,
 * }} Axes
 */
/**
 * An SVG, its width, and the functions from values to places in it.
 * @typedef {{ root: SVGSVGElement, x: (value: number) => number, y: (value: number) => number, width: number }} Chart
 */

export const CHART = { height: 250, left: 44, right: 12, top: 24, bottom: 34 };

/**
 * Round values from low to high, about `wanted` of them.
 * @type {(low: number, high: number, wanted?: number) => number[]}
 */
export function roundTicks(low, high, wanted = 5) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step + 0); // never -0
  return ticks;
}

/**
 * An empty chart, as wide as its figure is now, so that text has the same size everywhere.
 * @type {(figure: HTMLElement, label: string, axes: Axes) => Chart}
 */
export function makeChart(figure, label, axes) {
  const { height, left, right, top, bottom } = CHART;
  const space = getComputedStyle(figure);
  const inner = figure.clientWidth - parseFloat(space.paddingLeft) - parseFloat(space.paddingRight);
  const width = Math.max(220, Math.round(inner));
  /** @type {(value: number) => number} */
  const x = (value) => left + ((value - axes.x[0]) / (axes.x[1] - axes.x[0] || 1)) * (width - left - right);
  /** @type {(value: number) => number} */
  const y = (value) => height - bottom - ((value - axes.y[0]) / (axes.y[1] - axes.y[0] || 1)) * (height - top - bottom);
  const root = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (const tick of axes.yTicks) {
    const place = y(tick);
    root.append(
      svg("line", { class: "grid", x1: left, x2: width - right, y1: place, y2: place }),
      svg("text", { x: left - 7, y: place + 4, "text-anchor": "end", text: axes.yFormat(tick) }),
    );
  }
  for (const tick of axes.xTicks) {
    root.append(
      svg("text", { x: x(tick), y: height - bottom + 16, "text-anchor": "middle", text: axes.xFormat(tick) }),
    );
  }
  root.append(svg("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }));
  if (axes.xName) {
    root.append(svg("text", { x: width - right, y: height - 2, "text-anchor": "end", text: axes.xName }));
  }
  return { root, x, y, width };
}
