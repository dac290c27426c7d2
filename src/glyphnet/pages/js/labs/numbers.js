// @ts-check
// A live part: a picture as its numbers, its shape, and its label as a one-hot row.

import { html } from "../elements.js";
import { paintPixels } from "../playground/paint.js";
import { written } from "./chart.js";
import { digits } from "./trained.js";
/** @import { Samples } from "../playground/samples.js" */
/** @import { Part } from "./frame.js" */

/** The one-hot row of a label. @type {(label: number, classes: number) => number[]} */
export function oneHot(label, classes) {
  return Array.from({ length: classes }, (_, place) => place === label ? 1 : 0);
}

/** @type {(pixels: ArrayLike<number>, label: number, form: number) => string} */
export function numbersSentence(pixels, label, form) {
  const bright = Array.from(pixels).filter((value) => value > 0).length;
  const shape = [
    "8 rows of 8 whole numbers from 0 to 255",
    "the same, divided by 255: from 0 to 1",
    "one row of 64 numbers, as a dense layer takes it",
  ][form];
  return `The picture is ${shape}; ${bright} of 64 are not 0. Its label is ${label}, so its one-hot row has its 1 in place ${label}, counted from 0.`;
}

/** @type {(rows: string[][], caption: string, head?: string[]) => HTMLElement} */
function table(rows, caption, head) {
  const body = rows.map((row) => html("tr", {}, ...row.map((text) => html("td", { class: "cell", text }))));
  const first = head ? [html("tr", {}, ...head.map((text) => html("th", { class: "cell", scope: "col", text })))] : [];
  return html(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    html("table", {}, html("caption", { text: caption }), ...first, ...body),
  );
}

/** @type {Part<Samples>} */
export const numbersPart = {
  name: "numbers",
  title: "A picture is a table of numbers",
  about: [
    "A computer has no picture, only brightness: a number for each pixel, 0 for black and 255 for white. A label becomes a row with a 1 for its class and 0 for all others: a one-hot row.",
  ],
  ask: {
    question: "How many numbers does a network read of an 8×8 picture, and how many does it answer for ten digits?",
    choices: ["8 and 1", "64 and 10", "64 and 1"],
    right: 1,
    because:
      "One number for each of 8·8 = 64 pixels, and one for each class. The one-hot row is what these ten should be.",
  },
  controls: [
    {
      kind: "slider",
      name: "image",
      label: "Picture",
      values: Array.from({ length: 30 }, (_, k) => k),
      start: 0,
      text: (value) => String(value + 1),
    },
    { kind: "choice", name: "form", label: "Written as", texts: ["0 to 255", "divided by 255", "one row"], start: 0 },
  ],
  needs: digits,
  show(figure, { image, form }, say, { train, shape, classes }) {
    const pixels = train.x.subarray(64 * image, 64 * image + 64);
    const label = train.labels[image];
    const canvas = html("canvas", { role: "img", "aria-label": `A handwritten ${classes[label]}` });
    paintPixels(canvas, shape, pixels);
    const texts = Array.from(pixels, (value) => form === 1 ? written(value / 255, 2) : String(value));
    const rows = form === 2 ? [texts] : Array.from({ length: 8 }, (_, row) => texts.slice(8 * row, 8 * row + 8));
    figure.replaceChildren(
      html("div", { class: "side" }, canvas, table(rows, `The pixels, ${form === 2 ? "shape 64" : "shape 8×8"}`)),
      table([oneHot(label, classes.length).map(String)], "The label as a one-hot row, shape 10", classes),
    );
    say(numbersSentence(pixels, label, form));
  },
};
