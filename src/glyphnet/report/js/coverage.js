// @ts-check
// Accuracy against coverage: the accuracy if only the surest images are answered. The model's own rejection is marked.

import { byId, html, percent, svg } from "../../pages/js/elements.js";
import { CHART, makeChart, roundTicks } from "./chart.js";
import { data } from "./data.js";
/** @import { Axes, Chart } from "./chart.js" */

/** @type {() => void} */
export function startCoverage() {
  const { coverage, accuracy, thresholds, mark } = data.coverage;
  const figure = byId("coverage");
  const low = Math.min(...accuracy);
  const floor = Math.max(0, low - Math.max(0.12 * (1 - low), 0.0005));
  const start = coverageFrom(coverage, accuracy, mark);
  /** @type {Axes} */
  const axes = {
    x: [start, 1],
    y: [floor, 1],
    xTicks: roundTicks(start, 1),
    yTicks: roundTicks(floor, 1),
    xFormat: (share) => `${Math.round(100 * share)}`,
    yFormat: (share) => `${Number((100 * share).toFixed(2))}`,
    xName: "images answered, %",
  };
  const chart = makeChart(figure, "Accuracy by the share of images that is answered, the surest first", axes);
  const inside = [...coverage.keys()].filter((i) => coverage[i] >= start);
  const line = inside.map((i, n) =>
    `${n ? "L" : "M"}${chart.x(coverage[i]).toFixed(1)} ${chart.y(accuracy[i]).toFixed(1)}`
  );
  chart.root.append(svg("path", { class: "first", d: line.join("") }));
  if (mark) markRejection(chart, mark);
  const told = html("p", { class: "legend" });
  /** @type {(i: number) => void} */
  const tell = (i) => {
    const parts = [
      `surer than ${percent(thresholds[i])}`,
      `${percent(coverage[i])} answered`,
      `${percent(accuracy[i], 2)} right`,
    ];
    told.replaceChildren(...parts.map((text) => html("span", { text })));
  };
  figure.append(told, chart.root);
  readCoverage(chart, inside.map((i) => coverage[i]), inside.map((i) => accuracy[i]), (n) => tell(inside[n]));
}

/**
 * The coverage at which the chart starts: the flat part of the curve is left out.
 * @type {(coverage: number[], accuracy: number[], mark: [share: number, right: number] | null) => number}
 */
function coverageFrom(coverage, accuracy, mark) {
  const last = accuracy[accuracy.length - 1];
  /** @type {(start: number) => boolean} */
  const flat = (start) => coverage.every((share, i) => share > start || accuracy[i] >= 1 - 0.1 * (1 - last));
  return [0.9, 0.8, 0.5].find((start) => flat(start) && (!mark || mark[0] > start + 0.2 * (1 - start))) ?? 0;
}

/** @type {(chart: Chart, mark: [share: number, right: number]) => void} */
function markRejection(chart, [share, right]) {
  const place = chart.x(share);
  const leftHalf = place < chart.width / 2;
  chart.root.append(
    svg("line", { class: "best", x1: place, x2: place, y1: CHART.top - 10, y2: CHART.height - CHART.bottom }),
    svg("circle", { class: "first", cx: place, cy: chart.y(right), r: 4.5 }),
    svg("text", {
      class: "best-name",
      x: place + (leftHalf ? 5 : -5),
      y: CHART.top - 8,
      "text-anchor": leftHalf ? "start" : "end",
      text: "with --reject",
    }),
  );
}

/**
 * The legend shows the point under the pointer or the one chosen by arrow keys; else the one of all images.
 * @type {(chart: Chart, coverage: number[], accuracy: number[], tell: (i: number) => void) => void}
 */
function readCoverage({ root, x, y, width }, coverage, accuracy, tell) {
  const last = coverage.length - 1;
  let chosen = last;
  const dot = svg("circle", { class: "first", r: 3.5, visibility: "hidden" });
  root.append(dot);
  root.setAttribute("tabindex", "0");
  /** @type {(i: number, withDot: boolean) => void} */
  const show = (i, withDot) => {
    chosen = i;
    tell(i);
    dot.setAttribute("visibility", withDot ? "visible" : "hidden");
    dot.setAttribute("cx", String(x(coverage[i])));
    dot.setAttribute("cy", String(y(accuracy[i])));
  };
  root.addEventListener("pointermove", (event) => {
    const box = root.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * width;
    let best = 0;
    coverage.forEach((share, i) => {
      if (Math.abs(x(share) - at) < Math.abs(x(coverage[best]) - at)) best = i;
    });
    show(best, true);
  });
  root.addEventListener("pointerleave", () => show(last, false));
  root.addEventListener("focus", () => show(chosen, true));
  root.addEventListener("blur", () => show(last, false));
  root.addEventListener("keydown", (event) => {
    const step = Number(event.key === "ArrowRight") - Number(event.key === "ArrowLeft");
    if (!step) return;
    event.preventDefault();
    const jump = Math.max(1, Math.round(coverage.length / 50));
    show(Math.min(last, Math.max(0, chosen + step * jump)), true);
  });
  show(last, false);
}
