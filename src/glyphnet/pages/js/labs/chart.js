// @ts-check
// The charts of the labs' live parts: lines, dots, bars and coloured cells on the axes of the report's charts, with a key above them.

import { html, svg } from "../elements.js";
import { makeChart, roundTicks } from "../../../report/js/chart.js";

/** Which line: a blue, b orange dashed, c dark, d grey dotted, e and f paler blue and orange. @typedef {"a" | "b" | "c" | "d" | "e" | "f"} Style */
/** @typedef {[x: number, y: number]} Place */
/**
 * What is drawn. lines: with a name they have a row in the key; dots: of radius 4, or `size`; bars: from 0 to y, `wide` in units of x;
 * cells: values -1 to 1 row by row from the top left, over the whole chart; isLog: the y axis has powers of ten, and y below its low end is drawn there.
 * @typedef {{
 *   x: [number, number], y: [number, number], xName?: string, yName?: string, isLog?: boolean,
 *   xTicks?: number[], yTicks?: number[], xFormat?: (tick: number) => string, yFormat?: (tick: number) => string,
 *   lines?: { name?: string, style: Style, places: Place[] }[],
 *   dots?: { name?: string, style: Style, places: Place[], size?: number }[],
 *   bars?: { name?: string, style: Style, places: Place[], wide: number }[],
 *   cells?: { across: number, values: number[] },
 * }} Drawing
 */

/**
 * A number as the pages write it: with a real minus sign, never as -0, and 12,345 with a comma.
 * @type {(value: number, digits?: number) => string}
 */
export function written(value, digits = 3) {
  if (!Number.isFinite(value)) return "∞";
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-4)) {
    const [factor, power] = value.toExponential(1).split("e");
    return `${factor}·10^${Number(power)}`.replace(/-/g, "−");
  }
  const rounded = Number(value.toFixed(digits)) + 0;
  const text = numberFormat(digits, digits).format(rounded);
  return (rounded === 0 ? text.replace("-", "") : text).replace("-", "−");
}

/** A round number as short as it is: 0.05, 2, −1.5. @type {(value: number) => string} */
export function short(value) {
  return numberFormat(0, 6).format(Number(value.toPrecision(6))).replace("-", "−");
}

/** @type {Map<string, Intl.NumberFormat>} */
const formats = new Map();

/** A format with so many decimals at least and at most; each is made once, for that takes longer than to write with it. @type {(least: number, most: number) => Intl.NumberFormat} */
function numberFormat(least, most) {
  const name = `${least} ${most}`;
  const format = formats.get(name) ??
    new Intl.NumberFormat("en", { minimumFractionDigits: least, maximumFractionDigits: most });
  formats.set(name, format);
  return format;
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A power of ten as it is written on an axis. @type {(power: number) => string} */
export function powerOfTen(power) {
  const digits = [...String(Math.abs(power))].map((digit) => SUPERSCRIPTS[Number(digit)]).join("");
  return power >= -2 && power <= 3 ? short(10 ** power) : `10${power < 0 ? "⁻" : ""}${digits}`;
}

/** Draw into a figure in place of what was there. @type {(figure: HTMLElement, label: string, drawing: Drawing) => void} */
export function draw(figure, label, drawing) {
  const { isLog = false, lines = [], dots = [], bars = [] } = drawing;
  const scale = isLog ? Math.log10 : (/** @type {number} */ value) => value;
  const y = /** @type {[number, number]} */ (drawing.y.map(scale));
  const yTicks = isLog
    ? roundTicks(y[0], y[1], 4).filter(Number.isInteger)
    : drawing.yTicks ?? roundTicks(y[0], y[1], 4);
  const chart = makeChart(figure, label, {
    x: drawing.x,
    y,
    xTicks: drawing.xTicks ?? roundTicks(drawing.x[0], drawing.x[1], 5),
    yTicks,
    xFormat: drawing.xFormat ?? short,
    yFormat: isLog ? powerOfTen : drawing.yFormat ?? short,
    xName: drawing.xName,
  });
  /** @type {(place: Place) => Place} */
  const at = ([px, py]) => {
    const value = Math.min(y[1], Math.max(y[0], scale(py)));
    return [chart.x(px), chart.y(Number.isNaN(value) ? y[0] : value)];
  };
  if (drawing.cells) chart.root.append(cells(drawing.cells, drawing.x, y, chart));
  for (const { style, places, wide } of bars) {
    for (const place of places) {
      const [left, top] = at([place[0] - wide / 2, Math.max(0, place[1])]);
      const [right, bottom] = at([place[0] + wide / 2, Math.min(0, place[1])]);
      chart.root.append(
        svg("rect", { class: `bar-${style}`, x: left, y: top, width: right - left, height: Math.max(1, bottom - top) }),
      );
    }
  }
  for (const { style, places } of lines) {
    const points = places.filter(([, value]) => !Number.isNaN(value)).map((place) =>
      at(place).map((each) => each.toFixed(1)).join(",")
    );
    if (points.length) chart.root.append(svg("polyline", { class: `line-${style}`, points: points.join(" ") }));
  }
  for (const { style, places, size = 4 } of dots) {
    for (const place of places) {
      const [cx, cy] = at(place);
      chart.root.append(svg("circle", { class: `dot-${style}`, cx, cy, r: size }));
    }
  }
  if (drawing.yName) chart.root.append(svg("text", { x: 0, y: 12, text: drawing.yName }));
  figure.replaceChildren(key([...bars, ...lines], dots), chart.root);
}

/** @type {(cells: { across: number, values: number[] }, x: [number, number], y: [number, number], chart: import("../../../report/js/chart.js").Chart) => SVGGElement} */
function cells({ across, values }, x, y, chart) {
  const down = values.length / across;
  const [left, right, top, bottom] = [chart.x(x[0]), chart.x(x[1]), chart.y(y[1]), chart.y(y[0])];
  const [wide, tall] = [(right - left) / across, (bottom - top) / down];
  /** @type {Map<number, string>} */
  const shades = new Map(); // the outlines of all cells of one shade: far fewer elements than cells
  for (const [place, value] of values.entries()) {
    const shade = Math.round(SHADES * Math.min(1, Math.max(-1, value)));
    const [cellLeft, cellTop] = [left + (place % across) * wide, top + Math.floor(place / across) * tall];
    const outline = `M${cellLeft.toFixed(1)} ${cellTop.toFixed(1)}h${wide + 0.3}v${tall + 0.3}h${-wide - 0.3}z`;
    shades.set(shade, (shades.get(shade) ?? "") + outline);
  }
  const paths = Array.from(
    shades,
    ([shade, d]) =>
      svg("path", { class: shade < 0 ? "low" : "high", "fill-opacity": 0.5 * Math.abs(shade) / SHADES, d }),
  );
  return svg("g", { class: "cells" }, ...paths);
}

const SHADES = 20; // of each colour

/** What each line and kind of dot is. @type {(lines: { name?: string, style: Style, wide?: number }[], dots: { name?: string, style: Style }[]) => HTMLUListElement} */
function key(lines, dots) {
  const rows = [
    ...lines.filter(({ name }) => name).map(({ name, style, wide }) =>
      wide === undefined
        ? row(svg("line", { class: `line-${style}`, x1: 0, x2: 26, y1: 6, y2: 6 }), name)
        : row(svg("rect", { class: `bar-${style}`, x: 6, y: 0, width: 12, height: 12 }), name)
    ),
    ...dots.filter(({ name }) => name).map(({ name, style }) =>
      row(svg("circle", { class: `dot-${style}`, cx: 13, cy: 6, r: 5 }), name)
    ),
  ];
  return html("ul", { class: "key" }, ...rows);
}

/** @type {(sign: SVGElement, name?: string) => HTMLLIElement} */
function row(sign, name = "") {
  return html("li", {}, svg("svg", { viewBox: "0 0 26 12", width: 26, height: 12, "aria-hidden": "true" }, sign), name);
}
