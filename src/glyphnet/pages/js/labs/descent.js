// @ts-check
// Live parts about finding the lowest place: by a formula, downhill, with few or all examples, and by feeling the way.

import { Random } from "../engine/random.js";
import { draw, short, written } from "./chart.js";
/** @import { Part, Values } from "./frame.js" */
/** @import { Place } from "./chart.js" */

/** The bowl f(w, v) = ½(a·(w − 2)² + b·(v − 1)²): its curvatures, its lowest place, and where all walks begin. */
export const BOWL = { curvature: [1, 8], bottom: [2, 1], start: [-2, 2.4] };

/** @type {(place: number[]) => number} */
export function bowl(place) {
  return BOWL.curvature.reduce((sum, a, k) => sum + 0.5 * a * (place[k] - BOWL.bottom[k]) ** 2, 0);
}

/** The gradient of the bowl, a·(w − 2) and b·(v − 1). @type {(place: number[]) => number[]} */
export function slope(place) {
  return BOWL.curvature.map((a, k) => a * (place[k] - BOWL.bottom[k]));
}

/**
 * Gradient descent with momentum: m ← momentum·m + gradient; w ← w − rate·m.
 * @type {(rate: number, momentum: number, steps: number) => number[][]}
 */
export function descend(rate, momentum, steps) {
  const path = [BOWL.start];
  const velocity = [0, 0];
  for (let step = 0; step < steps; step++) {
    const here = path[step];
    slope(here).forEach((each, k) => velocity[k] = momentum * velocity[k] + each);
    path.push(here.map((each, k) => each - rate * velocity[k]));
  }
  return path;
}

const STEPS = 40;
const NEAR = 0.01; // of the height above the bottom that counts as arrived

/** @type {(values: Values) => { path: number[][], arrived: number }} */
export function walk({ rate, momentum }) {
  const path = descend(rate, momentum, STEPS);
  const last = path.findLastIndex((place) => !(bowl(place) <= NEAR));
  return { path, arrived: last + 1 <= STEPS ? last + 1 : -1 };
}

/** @type {(values: Values) => string} */
export function walkSentence(values) {
  const { path, arrived } = walk(values);
  const end = bowl(path[STEPS]);
  const largest = 2 * (1 + values.momentum) / Math.max(...BOWL.curvature);
  const bound = `Beyond a rate of 2·(1 + momentum)/8 = ${written(largest)} each step overshoots by more than the last.`;
  if (values.rate > largest) {
    return `The walk leaves the bowl: after ${STEPS} steps its height is ${written(end, 2)}. ${bound}`;
  }
  if (arrived >= 0) return `It arrives, to within ${NEAR} of the lowest height, after ${arrived} steps. ${bound}`;
  return `After ${STEPS} steps it is still ${
    written(end)
  } above the bottom, which the formula gives in one step. ${bound}`;
}

/** A closed curve on which the bowl has one height. @type {(height: number) => Place[]} */
function level(height) {
  return Array.from({ length: 73 }, (_, k) => {
    const angle = k * Math.PI / 36;
    const [w, v] = BOWL.curvature.map((a) => Math.sqrt(2 * height / a));
    return [BOWL.bottom[0] + w * Math.cos(angle), BOWL.bottom[1] + v * Math.sin(angle)];
  });
}

/** @type {[number, number]} */
const ACROSS = [-3, 7];
/** @type {[number, number]} */
const UP = [-1, 3];

/** @type {(places: Place[]) => Place[]} */
function inside(places) {
  const kept = places.findIndex(([w, v]) => w < ACROSS[0] || w > ACROSS[1] || v < UP[0] || v > UP[1]);
  return kept < 0 ? places : places.slice(0, kept);
}

/** @type {Part} */
export const bowlPart = {
  name: "bowl",
  title: "A bowl, its bottom by formula, and the way down",
  about: [
    "The simplest loss is a bowl: f(w, v) = ½·(w − 2)² + ½·8·(v − 1)². At its bottom both derivatives are zero: (w − 2) = 0 and 8·(v − 1) = 0, so w = 2 and v = 1. That is the closed form: no steps at all.",
    "A network has no such formula. It walks: w ← w − rate·derivative. With momentum each step also keeps a part of the step before it.",
  ],
  ask: {
    question: "The bowl is 8 times as steep in v as in w. What does a very large learning rate do first?",
    choices: [
      "It walks faster, whatever the direction",
      "It swings to and fro in v, and then flies out",
      "It stops too early in w",
    ],
    right: 1,
    because:
      "The steepest direction sets the limit: the rate must stay below 2/8 = 0.25 without momentum, though w alone would bear 2.",
  },
  controls: [
    {
      kind: "slider",
      name: "rate",
      label: "Learning rate",
      values: [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.24, 0.26, 0.3],
      start: 0.05,
      text: short,
    },
    {
      kind: "slider",
      name: "momentum",
      label: "Momentum",
      values: [0, 0.3, 0.5, 0.7, 0.8, 0.9],
      start: 0,
      text: short,
    },
  ],
  show(figure, values, say) {
    const { path } = walk(values);
    const places = inside(/** @type {Place[]} */ (path));
    draw(figure, "Level curves of the bowl, and the walk from its rim to its bottom", {
      x: ACROSS,
      y: UP,
      xName: "w",
      yName: "v",
      lines: [
        ...[0.25, 1, 3, 6, 10].map((height) => ({ style: /** @type {const} */ ("d"), places: inside(level(height)) })),
        { name: "gradient descent", style: "b", places },
      ],
      dots: [
        { style: "b", places, size: 2.5 },
        { name: "the bottom, by formula", style: "c", places: [/** @type {Place} */ (BOWL.bottom)], size: 5 },
      ],
    });
    say(walkSentence(values));
  },
};

// One example at a time against all

/** Noisy points on a line, y = 1.5·x + noise; each example's loss is ½·(w·x − y)². @type {(seed: number) => Place[]} */
export function examples(seed) {
  const random = new Random(seed);
  return Array.from({ length: 64 }, () => {
    const x = 2 * random.uniform() - 1;
    return [x, 1.5 * x + 0.5 * random.normal()];
  });
}

/** The mean loss of a weight over all examples. @type {(w: number, all: Place[]) => number} */
export function meanLoss(w, all) {
  return all.reduce((sum, [x, y]) => sum + 0.5 * (w * x - y) ** 2, 0) / all.length;
}

/** The lowest place by formula: w = Σxy / Σx². @type {(all: Place[]) => number} */
export function bestWeight(all) {
  return all.reduce((sum, [x, y]) => sum + x * y, 0) / all.reduce((sum, [x]) => sum + x * x, 0);
}

const EPOCHS = 5;

/**
 * The mean loss over all examples after each step, by the share of an epoch, when steps look at `size` examples.
 * @type {(size: number, rate: number, seed: number) => Place[]}
 */
export function lossBySteps(size, rate, seed) {
  const all = examples(seed);
  const random = new Random(seed + 1);
  let w = -1;
  /** @type {Place[]} */
  const course = [[0, meanLoss(w, all)]];
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    const order = random.order(all.length);
    for (let first = 0; first < all.length; first += size) {
      const rows = order.subarray(first, first + size);
      let gradient = 0;
      for (const row of rows) gradient += (w * all[row][0] - all[row][1]) * all[row][0] / rows.length;
      w -= rate * gradient;
      course.push([epoch + (first + rows.length) / all.length, meanLoss(w, all)]);
    }
  }
  return course;
}

/** @type {(values: Values) => { own: Place[], all: Place[], lowest: number, jumps: number }} */
export function batches({ size, rate, seed }) {
  const own = lossBySteps(size, rate, seed);
  const points = examples(seed);
  const jumps = own.slice(1).filter(([, loss], step) => loss > own[step][1] + 1e-12).length;
  return { own, all: lossBySteps(points.length, rate, seed), lowest: meanLoss(bestWeight(points), points), jumps };
}

/** @type {(values: Values) => string} */
export function batchSentence(values) {
  const { own, all, lowest, jumps } = batches(values);
  const steps = own.length - 1;
  const above = [own, all].map((course) => {
    const left = course[course.length - 1][1] - lowest;
    return left < 0.001 ? "less than 0.001" : written(left);
  });
  const noise = jumps ? `${jumps} of these raised the loss` : "none of these raised the loss";
  return `With ${
    values.size === 64 ? "all 64 examples" : values.size === 1 ? "one example" : `${values.size} examples`
  } a step, ${EPOCHS} epochs are ${steps} steps; ${noise}. ` +
    `In the end it is ${above[0]} above the lowest loss; with all 64 a step, it is ${above[1]} above.`;
}

/** @type {Part} */
export const batchPart = {
  name: "batches",
  title: "One example at a time, or all",
  about: [
    "One weight w learns to predict y from x, on 64 noisy examples. A step can look at one example or at more. An epoch is 64 looks, however they are cut into steps.",
  ],
  ask: {
    question:
      "After the same number of epochs, who is closer to the lowest loss: one example a step, or all 64 a step?",
    choices: [
      "All 64: each step goes exactly downhill",
      "One: it makes 64 times as many steps",
      "Both the same, since both look at as much",
    ],
    right: 1,
    because:
      "At a small rate many rough steps beat few exact ones. At a large rate the rough ones never settle: try it.",
  },
  controls: [
    {
      kind: "slider",
      name: "size",
      label: "Examples a step",
      values: [1, 2, 4, 8, 16, 32, 64],
      start: 1,
      text: short,
    },
    {
      kind: "slider",
      name: "rate",
      label: "Learning rate",
      values: [0.02, 0.05, 0.1, 0.3, 1, 1.5],
      start: 0.1,
      text: short,
    },
    { kind: "slider", name: "seed", label: "Seed", values: [1, 2, 3, 4, 5], start: 1, text: short },
  ],
  show(figure, values, say) {
    const { own, all, lowest } = batches(values);
    draw(figure, "Loss over all examples by epoch: the chosen number of examples a step, and all", {
      x: [0, EPOCHS],
      y: [0, 1.2],
      xName: "epoch",
      yName: "loss over all examples",
      lines: [
        { name: "lowest, by formula", style: "d", places: [[0, lowest], [EPOCHS, lowest]] },
        { name: "all 64 a step", style: "b", places: all },
        { name: "your choice", style: "a", places: own },
      ],
    });
    say(batchSentence(values));
  },
};

// A search that only feels its altitude

/** A valley with a side valley. @type {(x: number) => number} */
export function landscape(x) {
  return 0.08 * (x - 2) ** 2 + 0.5 * Math.cos(2 * x) + 0.5;
}

/**
 * Step; where it is lower, stay and step on; where it is not, go back and turn round with half the step.
 * @type {(from: number, stride: number, looks: number) => Place[]}
 */
export function feel(from, stride, looks) {
  let [here, step] = [from, stride];
  /** @type {Place[]} */
  const seen = [[here, landscape(here)]];
  for (let look = 0; look < looks; look++) {
    const there = here + step;
    seen.push([there, landscape(there)]);
    if (landscape(there) < landscape(here)) here = there;
    else step = -step / 2;
  }
  return seen;
}

/** @type {(values: Values) => { seen: Place[], best: Place }} */
export function search({ from, stride, looks }) {
  const seen = feel(from, stride, looks);
  return { seen, best: seen.reduce((low, place) => place[1] < low[1] ? place : low) };
}

const LOWEST = Array.from({ length: 1101 }, (_, k) => -4 + k / 100).reduce((low, x) =>
  landscape(x) < landscape(low) ? x : low
);

/** @type {(values: Values) => string} */
export function searchSentence(values) {
  const { seen, best } = search(values);
  const [x, height] = seen[seen.length - 1];
  const looked = values.looks
    ? `Look ${values.looks}, at x = ${written(x, 2)}: height ${written(height, 2)}${
      seen.slice(0, -1).every((place) => place[1] > height)
        ? ", lower, so it stays there"
        : ", not lower, so it goes back and turns with half the step"
    }.`
    : "It stands at the start, and has felt one height.";
  const right = Math.abs(best[0] - LOWEST) < 0.5;
  return `${looked} Its lowest so far is x = ${written(best[0], 2)}, ${
    right ? "in the deepest valley" : `not in the deepest valley, which is at ${written(LOWEST, 2)}`
  }.`;
}

/** @type {Part} */
export const searchPart = {
  name: "search",
  title: "Down without a derivative: step, look, turn back",
  about: [
    "Imagine fog. You feel only how high you stand. Take a step: if it went down, stay and go on. If not, go back, turn round, and halve the step.",
  ],
  ask: {
    question: "Will such a search always find the deepest valley?",
    choices: ["Yes, if it takes enough steps", "No, it may end in a side valley", "No, it never arrives anywhere"],
    right: 1,
    because:
      "Every step goes down, so it cannot leave a side valley again once its step is smaller than the valley. The same is true of gradient descent.",
  },
  controls: [
    {
      kind: "slider",
      name: "from",
      label: "Start",
      values: [-3, -2, -1, 0, 1, 2, 3, 4, 5, 6],
      start: -2,
      text: short,
      reset: ["looks"],
    },
    {
      kind: "slider",
      name: "stride",
      label: "First step",
      values: [0.2, 0.5, 1, 2, 3],
      start: 1,
      text: short,
      reset: ["looks"],
    },
    { kind: "button", name: "looks", label: "Step and look", most: 40, start: 1 },
  ],
  show(figure, values, say) {
    const { seen, best } = search(values);
    /** @type {Place[]} */
    const ground = Array.from({ length: 221 }, (_, k) => [-4 + k / 20, landscape(-4 + k / 20)]);
    draw(figure, "The height of the ground, and the places that were felt", {
      x: [-4, 7],
      y: [0, 4],
      xName: "x",
      yName: "height",
      lines: [{ style: "d", places: ground }],
      dots: [
        { name: "felt", style: "e", places: seen.filter(([x]) => x >= -4 && x <= 7) },
        { name: "now", style: "b", places: [seen[seen.length - 1]], size: 6 },
        { name: "lowest so far", style: "c", places: [best], size: 5 },
      ],
    });
    say(searchSentence(values));
  },
};
