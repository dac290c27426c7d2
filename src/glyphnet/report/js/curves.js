// @ts-check
// Learning curves: training solid blue, validation dashed orange, the best epoch marked; a cursor reads the values.

import { byId, html, percent, svg, within } from "../../pages/js/elements.js";
import { CHART, makeChart, roundTicks } from "./chart.js";
import { data } from "./data.js";
/** @import { Axes, Chart } from "./chart.js" */
/** @import { Curve } from "./data.js" */

/**
 * A line: its name, the class of its style, its values.
 * @typedef {{ name: string, kind: string, values: Curve }} Series
 */
/**
 * How values are written at the axis and exactly, whether the axis starts at 0, and its greatest value.
 * @typedef {{
 *   format: (value: number) => string, exact: (value: number) => string, zero?: boolean, most?: number,
 * }} Settings
 */

/** @type {() => void} */
export function startCurves() {
  const history = data.history;
  if (!document.getElementById("curve-loss")) return;
  /** @type {(value: number) => string} */
  const short = (value) => {
    const rounded = Number(value.toPrecision(3));
    return rounded === 0 || Math.abs(rounded) >= 0.01 ? String(rounded) : rounded.toExponential();
  };
  /** @type {(key: "loss" | "accuracy") => Series[]} */
  const both = (key) => [
    { name: "training", kind: "first", values: history[key] },
    { name: "validation", kind: "second", values: history[`val_${key}`] },
  ];
  drawCurves("curve-loss", "Loss by epoch", both("loss"), {
    format: short,
    exact: (value) => value.toFixed(4),
    zero: true,
  });
  drawCurves("curve-accuracy", "Accuracy by epoch", both("accuracy"), {
    format: (value) => `${Number((100 * value).toFixed(2))}`,
    exact: (value) => percent(value, 2),
    most: 1,
  });
  if (document.getElementById("curve-lr")) {
    const rate = [{ name: "used", kind: "first", values: history.lr }];
    drawCurves("curve-lr", "Learning rate by epoch", rate, { format: short, exact: short, zero: true });
  }
}

/** @type {(place: string, label: string, given: Series[], settings: Settings) => void} */
function drawCurves(place, label, given, settings) {
  const series = given.filter(({ values }) => values.some((value) => value !== null));
  const figure = byId(place);
  if (!series.length) {
    figure.hidden = true;
    return;
  }
  const epochs = data.history.epoch;
  const chart = makeChart(figure, label, curveAxes(series, epochs, settings));
  const { root, x, y, width } = chart;
  if (data.bestEpoch !== null) markBest(root, data.bestEpoch, x, width);
  for (const { kind, values } of series) {
    root.append(svg("path", { class: kind, d: path(epochs, values, x, y) }));
  }
  const epoch = html("span", { class: "sure" });
  const legend = html("p", { class: "legend" });
  within(figure, "figcaption").append(epoch);
  figure.append(legend, root);
  readWithCursor(chart, epoch, legend, series, settings.exact);
}

/** @type {(series: Series[], epochs: number[], settings: Settings) => Axes} */
function curveAxes(series, epochs, { format, zero, most }) {
  const known = series.flatMap(({ values }) => values.filter((value) => value !== null));
  const low = zero ? 0 : Math.min(...known);
  const high = Math.max(...known);
  const margin = (high - low) * 0.06 || Math.abs(high) * 0.06 || 1;
  /** @type {[number, number]} */
  const yRange = [zero ? 0 : low - margin, Math.min(high + margin, most ?? Infinity)];
  if (yRange[0] >= yRange[1]) yRange[0] = yRange[1] - margin;
  /** @type {[number, number]} */
  const xRange = [epochs[0], epochs[epochs.length - 1]];
  return {
    x: xRange,
    y: yRange,
    xTicks: roundTicks(...xRange, Math.min(6, epochs.length)).filter(Number.isInteger),
    yTicks: roundTicks(...yRange),
    xFormat: String,
    yFormat: format,
    xName: "epoch",
  };
}

/** @type {(epochs: number[], values: Curve, x: (value: number) => number, y: (value: number) => number) => string} */
function path(epochs, values, x, y) {
  let pen = "M";
  return values
    .map((value, i) => {
      if (value === null) {
        pen = "M"; // a gap
        return "";
      }
      const step = `${pen}${x(epochs[i]).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
      return step;
    })
    .join("");
}

/** @type {(root: SVGSVGElement, best: number, x: (value: number) => number, width: number) => void} */
function markBest(root, best, x, width) {
  const place = x(best);
  const leftHalf = place < width / 2;
  root.append(
    svg("line", { class: "best", x1: place, x2: place, y1: CHART.top - 10, y2: CHART.height - CHART.bottom }),
    svg("text", {
      class: "best-name",
      x: place + (leftHalf ? 5 : -5),
      y: CHART.top - 8,
      "text-anchor": leftHalf ? "start" : "end",
      text: `best: epoch ${best}`,
    }),
  );
}

/**
 * Caption and legend show the values of the epoch under the pointer or of the one chosen by arrow keys.
 * @type {(
 *   chart: Chart, epoch: HTMLElement, legend: HTMLElement, series: Series[], exact: (value: number) => string,
 * ) => void}
 */
function readWithCursor({ root, x, y, width }, epoch, legend, series, exact) {
  const epochs = data.history.epoch;
  const start = Math.max(0, epochs.indexOf(data.bestEpoch ?? -1));
  const cursor = svg("line", { class: "cursor", y1: CHART.top, y2: CHART.height - CHART.bottom });
  const dots = series.map(({ kind }) => svg("circle", { class: kind, r: 3.5, visibility: "hidden" }));
  root.append(cursor, ...dots);
  root.setAttribute("tabindex", "0");
  let chosen = start;

  /** @type {(i: number, withCursor: boolean) => void} */
  const show = (i, withCursor) => {
    chosen = i;
    const parts = series.map(({ name, kind, values }) => {
      const value = values[i] === null ? "–" : exact(values[i]);
      return html("span", {}, html("i", { class: kind }), `${name} `, html("b", { text: value }));
    });
    epoch.textContent = `epoch ${epochs[i]}`;
    legend.replaceChildren(...parts);
    cursor.setAttribute("visibility", withCursor ? "visible" : "hidden");
    cursor.setAttribute("x1", String(x(epochs[i])));
    cursor.setAttribute("x2", String(x(epochs[i])));
    dots.forEach((dot, k) => {
      const value = series[k].values[i];
      dot.setAttribute("visibility", withCursor && value !== null ? "visible" : "hidden");
      dot.setAttribute("cx", String(x(epochs[i])));
      dot.setAttribute("cy", String(y(value ?? 0)));
    });
  };
  /** @type {(event: PointerEvent) => number} */
  const nearest = (event) => {
    const box = root.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * width;
    let best = 0;
    epochs.forEach((epoch, i) => {
      if (Math.abs(x(epoch) - at) < Math.abs(x(epochs[best]) - at)) best = i;
    });
    return best;
  };
  root.addEventListener("pointermove", (event) => show(nearest(event), true));
  root.addEventListener("pointerleave", () => show(start, false));
  root.addEventListener("focus", () => show(chosen, true));
  root.addEventListener("blur", () => show(start, false));
  root.addEventListener("keydown", (event) => {
    const step = Number(event.key === "ArrowRight") - Number(event.key === "ArrowLeft");
    if (!step) return;
    event.preventDefault();
    show(Math.min(epochs.length - 1, Math.max(0, chosen + step)), true);
  });
  show(start, false);
}
