// @ts-check
// The reliability diagram, before and after temperature scaling, and how many images there are at each confidence.

import { byId, html, percent, svg, thousands } from "../../pages/js/elements.js";
import { makeChart, roundTicks } from "./chart.js";
import { data } from "./data.js";
/** @import { Axes, Chart } from "./chart.js" */
/** @import { Bin } from "./data.js" */

const SHARES = [0, 0.2, 0.4, 0.6, 0.8, 1];

/** @type {() => void} */
export function startReliability() {
  const bins = data.reliability;
  const total = bins.reduce((sum, bin) => sum + bin.count, 0);
  /** @type {(share: number) => string} */
  const whole = (share) => `${Math.round(100 * share)}`;
  /** @type {Axes} */
  const axes = {
    x: [0, 1],
    y: [0, 1],
    xTicks: SHARES,
    yTicks: SHARES,
    xFormat: whole,
    yFormat: whole,
    xName: "confidence, %",
  };

  const diagram = makeChart(
    byId("reliability"),
    "Accuracy by confidence, in per cent; the dashed line is a perfect match",
    axes,
  );
  const { x, y } = diagram;
  diagram.root.append(svg("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
  if (data.reliabilityBefore) drawBefore(diagram, data.reliabilityBefore, total);
  for (const bin of bins) {
    const place = x(bin.confidence);
    const dot = svg("circle", { class: "first", cx: place, cy: y(bin.accuracy), r: sizeOf(bin, total) });
    dot.append(svg("title", { text: describeBin(bin) }));
    diagram.root.append(
      svg("line", { class: "whisker", x1: place, x2: place, y1: y(bin.interval.low), y2: y(bin.interval.high) }),
      dot,
    );
  }
  byId("reliability").append(legendOfReliability(), diagram.root);

  const top = Math.max(...bins.map((bin) => bin.count / total));
  const ticks = roundTicks(0, top, 4);
  const columns = makeChart(byId("confidences"), "Share of the images by confidence, in per cent", {
    ...axes,
    y: [0, top * 1.05],
    yTicks: ticks,
    yFormat: (share) => `${Number((100 * share).toFixed(1))}`,
  });
  for (const bin of bins) {
    const height = columns.y(0) - columns.y(bin.count / total);
    const [left, right] = [columns.x(bin.low) + 1, columns.x(bin.high) - 1];
    const column = svg("rect", { class: "column", x: left, width: right - left, y: columns.y(0) - height, height });
    column.append(svg("title", { text: describeBin(bin) }));
    columns.root.append(column);
  }
  byId("confidences").append(html("p", { class: "legend", text: "images, %" }), columns.root);
}

/**
 * Rings on a dashed line: before temperature scaling.
 * @type {(chart: Chart, bins: Bin[], total: number) => void}
 */
function drawBefore({ root, x, y }, bins, total) {
  const line = bins.map((bin, i) => `${i ? "L" : "M"}${x(bin.confidence).toFixed(1)} ${y(bin.accuracy).toFixed(1)}`);
  root.append(svg("path", { class: "second before", d: line.join("") }));
  for (const bin of bins) {
    const ring = svg("circle", { class: "ring", cx: x(bin.confidence), cy: y(bin.accuracy), r: sizeOf(bin, total) });
    ring.append(svg("title", { text: `Before: ${describeBin(bin)}` }));
    root.append(ring);
  }
}

/** @type {(bin: Bin, total: number) => number} */
function sizeOf(bin, total) {
  return 3 + 4 * Math.sqrt(bin.count / total);
}

/** @type {() => HTMLElement} */
function legendOfReliability() {
  const text = "accuracy, % (95 % interval)";
  if (!data.reliabilityBefore) return html("p", { class: "legend", text });
  return html(
    "p",
    { class: "legend" },
    html("span", {}, html("i", { class: "first" }), text),
    html("span", {}, html("i", { class: "second" }), "before temperature scaling"),
  );
}

/** @type {(bin: Bin) => string} */
function describeBin(bin) {
  return `${thousands(bin.count)} images, ${percent(bin.confidence)} sure: ${percent(bin.accuracy)} right`;
}
