// @ts-check
// A live part: one window of a convolution slides over a digit, and the digit is shifted.

import { Network } from "../network.js";
import { draw, short, written } from "./chart.js";
import { showWithMap } from "./map.js";
import { digits } from "./trained.js";
/** @import { Samples } from "../playground/samples.js" */
/** @import { Part } from "./frame.js" */

/** Windows of 3×3 weights. @type {{ name: string, weights: number[] }[]} */
export const WINDOWS = [
  { name: "vertical edges", weights: [-1, 0, 1, -1, 0, 1, -1, 0, 1] },
  { name: "horizontal edges", weights: [-1, -1, -1, 0, 0, 0, 1, 1, 1] },
  { name: "mean of nine", weights: Array(9).fill(1 / 9) },
  { name: "contrast with the neighbours", weights: [0, -1, 0, -1, 4, -1, 0, -1, 0] },
];

/** A picture 8×8 moved to the right by some pixels, what leaves it is lost. @type {(pixels: ArrayLike<number>, by: number) => number[]} */
export function shifted(pixels, by) {
  return Array.from({ length: 64 }, (_, at) => {
    const column = at % 8 - by;
    return column >= 0 && column < 8 ? pixels[at - by] : 0;
  });
}

/** The map of a window over pixels from 0 to 255, 8×8, with zeros beyond the border. @type {(pixels: ArrayLike<number>, weights: number[]) => number[]} */
export function featureMap(pixels, weights) {
  const layer = {
    type: "convolution",
    kernel: 3,
    stride: 1,
    padding: 1,
    weight: Float32Array.from(weights),
    bias: new Float32Array(1),
  };
  return Array.from(new Network([8, 8, 1], [layer]).forward(Float32Array.from(pixels, (value) => value / 255)));
}

/** @type {(before: number[], after: number[], by: number) => string} */
export function windowSentence(before, after, by) {
  const [top, moved] = [before, after].map((map) => Math.max(...map));
  const rows =
    before.filter((value, at) => at % 8 >= 1 && at % 8 < 7 - Math.max(0, by) && Math.abs(value - after[at + by]) < 1e-5)
      .length;
  const all = before.filter((_, at) => at % 8 >= 1 && at % 8 < 7 - Math.max(0, by)).length;
  if (!by) {
    return `The largest answer of the window is ${written(top, 2)}. Shift the digit, and look what happens to the map.`;
  }
  return `The digit has moved by ${by} ${
    by === 1 ? "pixel" : "pixels"
  }, and the map with it: ${rows} of ${all} inner values are the same, ${by} further right. The largest answer is ${
    written(moved, 2)
  }, it was ${written(top, 2)}.`;
}

/** @type {Part<Samples>} */
export const windowPart = {
  name: "window",
  title: "Slide a window, shift a digit",
  about: [
    "A convolution lays the same nine weights on every place of the picture and adds up what lies under them. Its answers are a picture again, the feature map: blue is negative, orange positive.",
  ],
  ask: {
    question: "The digit moves one pixel to the right. What does its feature map do?",
    choices: ["It changes everywhere", "It moves one pixel to the right", "It stays"],
    right: 1,
    because:
      "The weights are the same everywhere, so the same strokes give the same answers, one place further. A fully connected network has other weights there, and must learn it again.",
  },
  controls: [
    { kind: "choice", name: "window", label: "Window", texts: WINDOWS.map(({ name }) => name), start: 0 },
    { kind: "slider", name: "by", label: "Shift to the right", values: [0, 1, 2], start: 0, text: short },
    {
      kind: "slider",
      name: "image",
      label: "Digit",
      values: Array.from({ length: 20 }, (_, k) => k),
      start: 3,
      text: (value) => String(value + 1),
    },
  ],
  needs: digits,
  show(figure, { window, by, image }, say, { train, shape, classes }) {
    const pixels = train.x.subarray(64 * image, 64 * image + 64);
    const { weights, name } = WINDOWS[window];
    const moved = shifted(pixels, by);
    const [before, after] = [pixels, moved].map((each) => featureMap(each, weights));
    const label = classes[train.labels[image]];
    const chart = showWithMap(figure, shape, moved, after, [`The digit ${label}`, `Its feature map for ${name}`]);
    draw(chart, "The answers of the window along the fourth row", {
      x: [0, 7],
      y: [Math.min(-0.5, ...before, ...after), Math.max(0.5, ...before, ...after)],
      xName: "column",
      yName: "answer of the window, row 4",
      lines: [
        { name: "before the shift", style: "d", places: before.slice(24, 32).map((value, k) => [k, value]) },
        { name: "now", style: "a", places: after.slice(24, 32).map((value, k) => [k, value]) },
      ],
    });
    say(windowSentence(before, after, by));
  },
};
