// @ts-check
// Live parts about hidden units: the points as two of them see them, and the line that the output draws there.

import { html, percent } from "../elements.js";
import { sigmoid } from "../engine/activations.js";
import { Random } from "../engine/random.js";
import { Training } from "../engine/training.js";
import { Network } from "../network.js";
import { draw, short } from "./chart.js";
import { dense } from "./trained.js";
/** @import { Part } from "./frame.js" */
/** @import { Drawing, Place } from "./chart.js" */
/** @import { Shape } from "../engine/layer.js" */

/** Points to learn: their inputs, one after the other, and labels. @typedef {{ shape: Shape, x: Float32Array, labels: Uint8Array }} Points */

/** Ten noisy points at each corner of XOR. @type {() => Points} */
export function xorPoints() {
  const random = new Random(1);
  const corners = [[0, 0], [0, 1], [1, 0], [1, 1]];
  const all = corners.flatMap((corner) => Array.from({ length: 10 }, () => corner));
  return {
    shape: [1, 1, 2],
    x: Float32Array.from(all.flatMap((corner) => corner.map((each) => each + 0.06 * random.normal()))),
    labels: Uint8Array.from(all, ([x, y]) => x ^ y),
  };
}

/** The square pulse: 1 between -1 and 1, of places from -3 to 3. @type {() => Points} */
export function pulsePoints() {
  const x = Float32Array.from({ length: 41 }, (_, k) => -3 + 6 * k / 40);
  return { shape: [1, 1, 1], x, labels: Uint8Array.from(x, (each) => Math.abs(each) < 1 ? 1 : 0) };
}

/** What is known of a network after some steps. @typedef {{ right: number, count: number, hidden: Place[], line: number[], answers: (x: number[]) => number, seen: (x: number[]) => Place }} Learned */

/**
 * A network with two hidden sigmoid units after some steps of Adam over all points: the points in hidden space, the output's
 * line there (weights and bias), and what it answers.
 * @type {(points: Points, steps: number, seed: number) => Learned}
 */
export function learnedHidden({ shape, x, labels }, steps, seed) {
  const count = labels.length;
  const network = new Network(shape, dense([2, 1], "sigmoid"), { batch: count, training: true, seed });
  const training = new Training(network, { optimizer: "adam", loss: "binary_cross_entropy", rate: 0.1, seed });
  for (let step = 0; step < steps; step++) training.step(x, labels);
  const [first, last] = [1, 3].map((number) =>
    network.chain.layers[number].parameters.map(({ value }) => Array.from(value.values))
  );
  const [[weights, biases], [out, bias]] = [first, last];
  /** @type {(x: number[]) => Place} */
  const seen = (input) => {
    const sums = [0, 1].map((unit) => input.reduce((sum, each, k) => sum + each * weights[2 * k + unit], biases[unit]));
    return [sigmoid(sums[0]), sigmoid(sums[1])];
  };
  const answers = (/** @type {number[]} */ input) => {
    const [one, two] = seen(input);
    return sigmoid(out[0] * one + out[1] * two + bias[0]);
  };
  const width = x.length / count;
  const inputs = Array.from(labels, (_, row) => Array.from(x.subarray(row * width, (row + 1) * width)));
  const right = inputs.filter((input, row) => (answers(input) > 0.5 ? 1 : 0) === labels[row]).length;
  return { right, count, hidden: inputs.map(seen), line: [...out, ...bias], answers, seen };
}

/** Where the output's line w₁·h₁ + w₂·h₂ + b = 0 crosses the square; nothing where it does not. @type {(line: number[]) => Place[]} */
export function inSquare([a, b, c]) {
  const [low, high] = [-0.08, 1.08];
  /** @type {Place[]} */
  const ends = [];
  for (const side of [low, high]) {
    const [up, across] = [-(a * side + c) / b, -(b * side + c) / a];
    if (up >= low && up <= high) ends.push([side, up]);
    if (across >= low && across <= high) ends.push([across, side]);
  }
  return ends.slice(0, 2);
}

/** @type {(learned: Learned, steps: number) => string} */
export function hiddenSentence({ right, count, line }, steps) {
  const crossing = inSquare(line).length === 2
    ? "crosses the square"
    : "passes beside the square, so that all points get one answer";
  const end = right === count
    ? "the hidden units have moved the points so that one straight line parts the classes"
    : "that line does not part the classes";
  return `After ${steps} steps ${right} of ${count} points are right (${
    percent(right / count, 0)
  }): the output's line ${crossing}; ${end}.`;
}

/** Dots of both classes. @type {(places: Place[], labels: Uint8Array) => NonNullable<Drawing["dots"]>} */
function dots(places, labels) {
  return [["class 0", "e"], ["class 1", "f"]].map(([name, style], label) => ({
    name,
    style: /** @type {"e" | "f"} */ (style),
    places: places.filter((_, row) => labels[row] === label),
    size: 5,
  }));
}

/** @type {(figure: HTMLElement, learned: Learned, points: Points) => void} */
function drawHidden(figure, { hidden, line, seen }, { shape, labels }) {
  const path = shape[2] === 1 ? Array.from({ length: 121 }, (_, k) => seen([-3 + k / 20])) : [];
  draw(figure, "The points in the space of the two hidden units, and the output's line", {
    x: [-0.08, 1.08],
    y: [-0.08, 1.08],
    xTicks: [0, 0.5, 1],
    yTicks: [0, 0.5, 1],
    xName: "output of hidden unit 1",
    yName: "output of hidden unit 2",
    lines: [
      { style: "d", places: path },
      { name: "the output's line", style: "c", places: inSquare(line) },
    ],
    dots: dots(hidden, labels),
  });
}

const SIDE = 24;

/** @type {(figure: HTMLElement, learned: Learned, points: Points) => void} */
function drawInputs(figure, { answers }, { x, labels, shape }) {
  if (shape[2] === 1) {
    const xs = Array.from({ length: 121 }, (_, k) => -3 + k / 20);
    return draw(figure, "The pulse, and what the network answers along x", {
      x: [-3, 3],
      y: [-0.05, 1.1],
      yTicks: [0, 0.5, 1],
      xName: "x",
      yName: "the answer",
      lines: [{ name: "answer", style: "c", places: xs.map((each) => [each, answers([each])]) }],
      dots: dots(Array.from(x, (each, row) => [each, labels[row]]), labels),
    });
  }
  const values = Array.from({ length: SIDE * SIDE }, (_, at) => {
    const [row, column] = [Math.floor(at / SIDE), at % SIDE];
    return 2 * answers([-0.3 + 1.6 * (column + 0.5) / SIDE, 1.3 - 1.6 * (row + 0.5) / SIDE]) - 1;
  });
  draw(figure, "The points as they are, and what the network answers at each place", {
    x: [-0.3, 1.3],
    y: [-0.3, 1.3],
    xTicks: [0, 0.5, 1],
    yTicks: [0, 0.5, 1],
    xName: "input 1",
    yName: "input 2",
    cells: { across: SIDE, values },
    dots: dots(Array.from(labels, (_, row) => [x[2 * row], x[2 * row + 1]]), labels),
  });
}

/** @type {(name: string, points: Points, about: string, because: string) => Part} */
function hiddenPart(name, points, about, because) {
  return {
    name,
    title: "What two hidden units make of the points",
    about: [
      about,
      "On the left the inputs, and what the network answers. On the right the same points as the hidden units see them. The output unit can only draw a straight line there.",
    ],
    ask: {
      question:
        "A network with two hidden units has learned it. How do the points lie in the space of the hidden units?",
      choices: ["As they lie in the input", "So that a straight line parts the classes", "All in one place"],
      right: 1,
      because,
    },
    controls: [
      {
        kind: "slider",
        name: "steps",
        label: "Steps of Adam",
        values: [0, 10, 20, 40, 80, 150, 300],
        start: 0,
        text: short,
      },
      { kind: "slider", name: "seed", label: "Start (seed)", values: [1, 2, 3, 4, 5, 6, 7, 8], start: 1, text: short },
    ],
    show(figure, { steps, seed }, say) {
      const learned = learnedHidden(points, steps, seed);
      const [left, right] = [html("div", {}), html("div", {})];
      figure.replaceChildren(html("div", { class: "panels" }, left, right));
      drawInputs(left, learned, points);
      drawHidden(right, learned, points);
      say(hiddenSentence(learned, steps));
    },
  };
}

export const xorPart = hiddenPart(
  "hidden-xor",
  xorPoints(),
  "XOR: class 1 where exactly one input is 1. No straight line parts the classes in the input.",
  "The hidden units fold the plane: they put the two corners of one class on top of each other, and then one line is enough. From some starts they do not find it: try other seeds.",
);

export const pulsePart = hiddenPart(
  "hidden-pulse",
  pulsePoints(),
  "The square pulse: class 1 between −1 and 1. On a line, one border cannot part the middle from both ends.",
  "The line of x becomes a curve in the square of the two outputs, and a straight line can cut its middle off from both ends.",
);
