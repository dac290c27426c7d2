// @ts-check
// What is seen of a training beside the network: curves, the confusion matrix, the mistakes.

import { makeChart, roundTicks } from "../../../report/js/chart.js";
import { html, percent, svg } from "../elements.js";
import { paintPixels } from "./paint.js";
/** @import { Samples } from "./samples.js" */

/** A moment of the curves; null where it was not measured. @typedef {{ epoch: number, train: number | null, test: number | null }} Moment */

const MOST_MOMENTS = 300;
const MOST_MISTAKES = 18;

/** Leave out every second moment where there are too many. @type {<One>(moments: One[]) => One[]} */
export function thinned(moments) {
  return moments.length <= MOST_MOMENTS
    ? moments
    : moments.filter((_, place) => place % 2 === 0 || place === moments.length - 1);
}

/**
 * words: what the chart says, and how numbers are written, where it is not English.
 * @type {(figure: HTMLElement, name: string, moments: Moment[], isShare: boolean, words?: { label: string, epoch: string, locale: string }) => void}
 */
export function drawCurves(figure, name, moments, isShare, words) {
  const { label, epoch, locale } = words ??
    { label: `${name} by epoch, training and test`, epoch: "epoch", locale: "en" };
  const values = moments.flatMap(({ train, test }) => [train, test]).filter((value) => value !== null);
  const end = Math.max(1, moments.at(-1)?.epoch ?? 1);
  const high = isShare ? 1 : Math.max(0.1, ...values);
  const low = isShare ? Math.min(0.9, Math.floor(10 * Math.min(1, ...values)) / 10) : 0;
  const chart = makeChart(figure, label, {
    x: [0, end],
    y: [low, high],
    xTicks: roundTicks(0, end, 4),
    yTicks: roundTicks(low, high, 4),
    xFormat: (tick) => tick.toLocaleString(locale),
    yFormat: (tick) => isShare ? percent(tick, 0) : tick.toLocaleString(locale),
    xName: epoch,
  });
  for (const part of /** @type {const} */ (["train", "test"])) {
    const points = moments.flatMap(({ epoch, [part]: value }) =>
      value === null ? [] : [`${chart.x(epoch).toFixed(1)},${chart.y(Math.min(high, value)).toFixed(1)}`]
    );
    if (points.length) chart.root.append(svg("polyline", { class: `curve ${part}`, points: points.join(" ") }));
  }
  figure.replaceChildren(chart.root);
}

/** @type {(table: HTMLTableElement, confusion: number[][], classes: string[], how?: string) => void} */
export function drawConfusion(table, confusion, classes, how = "Rows: the true class. Columns: the answer.") {
  const rows = confusion.map((row, label) => {
    const sum = row.reduce((total, count) => total + count, 0) || 1;
    const cells = row.map((count, named) => {
      const cell = html("td", { class: named === label ? "right" : "wrong", text: count ? String(count) : "" });
      cell.style.setProperty("--share", String(count / sum));
      return cell;
    });
    return html("tr", {}, html("th", { scope: "row", text: classes[label] }), ...cells);
  });
  const head = html("tr", {}, html("td", {}), ...classes.map((text) => html("th", { scope: "col", text })));
  table.replaceChildren(
    html("caption", { class: "unseen", text: how }),
    head,
    ...rows,
  );
}

/** @type {(list: HTMLElement, samples: Samples, predicted: Uint8Array) => void} */
export function drawMistakes(list, { shape, classes, test }, predicted) {
  const size = shape[0] * shape[1] * shape[2];
  const wrong = [...predicted.keys()].filter((row) => predicted[row] !== test.labels[row]);
  list.replaceChildren(
    ...wrong.slice(0, MOST_MISTAKES).map((row) => {
      const text = `${classes[test.labels[row]]} → ${classes[predicted[row]]}`;
      const canvas = html("canvas", {
        role: "img",
        "aria-label": `${classes[test.labels[row]]} taken for ${classes[predicted[row]]}`,
      });
      paintPixels(canvas, shape, test.x, row * size);
      return html("li", {}, canvas, html("span", { text }));
    }),
  );
  if (!wrong.length) list.replaceChildren(html("li", { class: "none", text: "None on the test images." }));
}
