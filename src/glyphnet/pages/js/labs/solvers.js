// @ts-check
// A live part: gradient descent, SGD, Adam and L-BFGS train one small network from the same start.

import { LOSSES, Training } from "../engine/training.js";
import { Random } from "../engine/random.js";
import { Network } from "../network.js";
import { pointSamples } from "../playground/samples.js";
import { draw, short, written } from "./chart.js";
import { dense } from "./trained.js";
/** @import { Part, Values } from "./frame.js" */
/** @import { Place, Style } from "./chart.js" */

/** A function of a vector: its value, and its gradient. @typedef {(w: Float64Array) => { loss: number, gradient: Float64Array }} Objective */

/** @type {(a: Float64Array, b: Float64Array) => number} */
function dot(a, b) {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}

const KEPT = 10; // steps from which the curvature is estimated
const ENOUGH = 1e-4; // of the slope by which a step must lower the loss (Armijo)

/**
 * L-BFGS (Nocedal, 1980; two loops, halving the step until the loss falls enough): the lowest loss after each look at all
 * examples, from the first one on, at most `looks` of them.
 * @type {(objective: Objective, start: Float64Array, looks: number) => number[]}
 */
export function lbfgs(objective, start, looks) {
  let w = start;
  let { loss, gradient } = objective(w);
  const course = [loss];
  /** @type {{ step: Float64Array, change: Float64Array, scale: number }[]} */
  const memory = [];
  while (course.length < looks) {
    const direction = uphill(memory, gradient).map((each) => -each);
    const slope = dot(direction, gradient);
    if (!(slope < -1e-14)) break; // arrived, as far as the numbers can tell
    let length = memory.length ? 1 : 1 / Math.sqrt(dot(gradient, gradient));
    for (let tries = 0; course.length < looks; tries++, length /= 2) {
      const next = w.map((each, k) => each + length * direction[k]);
      const found = objective(next);
      const isLower = found.loss <= loss + ENOUGH * length * slope;
      course.push(isLower ? found.loss : loss);
      if (tries > 25) return course;
      if (!isLower) continue;
      const step = next.map((each, k) => each - w[k]);
      const change = found.gradient.map((each, k) => each - gradient[k]);
      const curved = dot(step, change);
      if (curved > 1e-12) memory.push({ step, change, scale: 1 / curved });
      if (memory.length > KEPT) memory.shift();
      [w, loss, gradient] = [next, found.loss, found.gradient];
      break;
    }
  }
  return course;
}

/** The gradient times the estimate of the inverse curvature. @type {(memory: { step: Float64Array, change: Float64Array, scale: number }[], gradient: Float64Array) => Float64Array} */
function uphill(memory, gradient) {
  const made = gradient.slice();
  const shares = memory.map(() => 0);
  for (let k = memory.length - 1; k >= 0; k--) {
    const { step, change, scale } = memory[k];
    shares[k] = scale * dot(step, made);
    change.forEach((each, i) => made[i] -= shares[k] * each);
  }
  const last = memory[memory.length - 1];
  if (last) {
    const scaled = 1 / (last.scale * dot(last.change, last.change));
    made.forEach((each, i) => made[i] = scaled * each);
  }
  memory.forEach(({ step, change, scale }, k) => {
    const rest = shares[k] - scale * dot(change, made);
    step.forEach((each, i) => made[i] += rest * each);
  });
  return made;
}

const COUNT = 60;
export const LOOKS = 100;
const PENALTY = 1e-3;

/** A network 2–8–1 with tanh, and the 100 points of two moons that it learns. @type {(seed: number) => { network: Network, x: Float32Array, labels: Uint8Array }} */
function problem(seed) {
  const { train } = pointSamples("moons", COUNT, 2);
  const network = new Network([1, 1, 2], dense([8, 1], "tanh"), { batch: COUNT, training: true, seed });
  return { network, x: /** @type {Float32Array} */ (train.x), labels: train.labels };
}

/** Its loss with the penalty ½·l2·Σw² on the weights, and the gradient, as a function of all numbers of the network. @type {(seed: number) => { objective: Objective, start: Float64Array }} */
export function flat(seed) {
  const { network, x, labels } = problem(seed);
  const training = new Training(network, { loss: "binary_cross_entropy", rate: 0, l2: PENALTY });
  const { parameters } = network;
  const all = (/** @type {"value" | "gradient"} */ which) =>
    Float64Array.from(parameters.flatMap((each) => [...each[which].values]));
  return {
    start: all("value"),
    objective(w) {
      let at = 0;
      for (const { value: { values } } of parameters) {
        values.set(w.subarray(at, at + values.length));
        at += values.length;
      }
      const { loss } = training.gradients(x, labels);
      return { loss: loss + penalty(network), gradient: all("gradient") };
    },
  };
}

/** @type {(network: Network) => number} */
function penalty({ parameters }) {
  const weights = parameters.filter(({ isWeight }) => isWeight);
  return 0.5 * PENALTY * weights.reduce((sum, { value }) => sum + value.values.reduce((s, w) => s + w * w, 0), 0);
}

/** The loss of a network over all points, with its penalty. @type {(network: Network, x: Float32Array, labels: Uint8Array) => number} */
function lossOf(network, x, labels) {
  const gradient = new Float32Array(1);
  const logits = network.forward(x, COUNT);
  const sum = labels.reduce(
    (total, label, row) => total + LOSSES.binary_cross_entropy(logits.subarray(row, row + 1), label, gradient),
    0,
  );
  return sum / COUNT + penalty(network);
}

/** The loss over all points before each look at all of them, by steps of the engine. @type {(seed: number, optimizer: "sgd" | "adam", rate: number, batch: number) => number[]} */
export function bySteps(seed, optimizer, rate, batch) {
  const { network, x, labels } = problem(seed);
  const training = new Training(network, { optimizer, loss: "binary_cross_entropy", rate, l2: PENALTY });
  const random = new Random(seed);
  const course = [];
  const inputs = new Float32Array(2 * batch);
  const targets = new Uint8Array(batch);
  for (let look = 0; look < LOOKS; look++) {
    course.push(lossOf(network, x, labels));
    const order = random.order(COUNT);
    for (let first = 0; first < COUNT; first += batch) {
      for (let k = 0; k < batch; k++) {
        const row = order[first + k];
        inputs.set(x.subarray(2 * row, 2 * row + 2), 2 * k);
        targets[k] = labels[row];
      }
      training.step(inputs, targets);
    }
  }
  return course;
}

const NAMES = ["gradient descent", "SGD, 10 points a step", "Adam, 10 points a step", "L-BFGS"];

/** The four ways, in the order of their names. @type {((values: Values) => number[])[]} */
const WAYS = [
  ({ rate, seed }) => bySteps(seed, "sgd", rate, COUNT),
  ({ rate, seed }) => bySteps(seed, "sgd", rate, 10),
  ({ rate, seed }) => bySteps(seed, "adam", rate / 10, 10),
  ({ seed }) => {
    const { objective, start } = flat(seed);
    return lbfgs(objective, start, LOOKS);
  },
];

/** @type {Map<string, number[]>} */
const known = new Map();

/** The courses of all four, one after the other; each is computed once for its rate and start. @type {(values: Values) => Generator<number[]>} */
export function* solved({ rate, seed }) {
  for (const [way, course] of WAYS.entries()) {
    const key = way === 3 ? `${way} ${seed}` : `${way} ${rate} ${seed}`; // L-BFGS has no rate
    const found = known.get(key) ?? course({ rate, seed });
    known.set(key, found);
    yield found;
  }
}

/** @type {(courses: number[][], looks: number) => string} */
export function solversSentence(courses, looks) {
  const now = courses.map((course) => course[Math.min(looks, course.length) - 1]);
  const order = [...now.keys()].sort((a, b) => now[a] - now[b]);
  const told = order.map((k) => `${NAMES[k]} ${written(now[k], 4)}`);
  const stopped = courses[3].length < looks ? ` L-BFGS stopped by itself after ${courses[3].length}.` : "";
  return `After ${looks} looks at all ${COUNT} points, from low to high: ${
    told.join(", ")
  }.${stopped} L-BFGS has no learning rate: the slider changes only the others.`;
}

/** @type {Part} */
export const solversPart = {
  name: "solvers",
  title: "Four ways down, for one network",
  about: [
    "A network 2–8–1 learns two moons from the same weights, four times. Gradient descent looks at all points for each step. SGD and Adam take a step for every ten. L-BFGS looks at all, and estimates from its last ten steps how the slope changes: it knows about how far to go.",
  ],
  ask: {
    question: "After as many looks at all points, who has the lowest loss here?",
    choices: ["Gradient descent", "SGD or Adam", "L-BFGS"],
    right: 2,
    because:
      "On few data a look at all of them is cheap, and knowing the curvature pays. With millions of images SGD and Adam have made many steps before L-BFGS has made one.",
  },
  controls: [
    {
      kind: "slider",
      name: "rate",
      label: "Learning rate (Adam: a tenth)",
      values: [0.03, 0.1, 0.3, 1],
      start: 0.3,
      text: short,
    },
    {
      kind: "slider",
      name: "looks",
      label: "Looks at all points",
      values: [10, 20, 50, LOOKS],
      start: 50,
      text: short,
    },
    { kind: "slider", name: "seed", label: "Start (seed)", values: [1, 2, 3], start: 1, text: short },
  ],
  async show(figure, values, say) {
    const mine = ++shown;
    /** @type {number[][]} */
    const courses = [];
    for (const course of solved(values)) { // each is painted before the next is computed, so that the page answers meanwhile
      courses.push(course);
      drawCourses(figure, courses, values.looks);
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
      if (mine !== shown) return; // a newer one
    }
    say(solversSentence(courses, values.looks));
  },
};

let shown = 0; // how often the part was asked to show something

/** @type {(figure: HTMLElement, courses: number[][], looks: number) => void} */
function drawCourses(figure, courses, looks) {
  draw(figure, "Loss by looks at all points, for four ways of training", {
    x: [0, looks],
    y: [0.03, 1],
    isLog: true,
    xName: "looks at all points",
    yName: "loss with its penalty",
    lines: courses.map((course, k) => ({
      name: NAMES[k],
      style: /** @type {Style[]} */ (["d", "b", "f", "a"])[k],
      places: course.slice(0, looks).map((loss, look) => /** @type {Place} */ ([look + 1, loss])),
    })),
  });
}
