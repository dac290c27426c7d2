// @ts-check
// Live parts about fitting: penalties on weights, bias and variance, and a line that becomes logistic.

import { sigmoid } from "../engine/activations.js";
import { Random } from "../engine/random.js";
import { draw, short, written } from "./chart.js";
/** @import { Part, Values } from "./frame.js" */
/** @import { Place } from "./chart.js" */

/** The solution of A·x = b, by Gauss's elimination with pivots. @type {(a: number[][], b: number[]) => number[]} */
export function solve(a, b) {
  const rows = a.map((row, k) => [...row, b[k]]);
  for (let k = 0; k < b.length; k++) {
    const best = rows.slice(k).reduce((top, row, at) => Math.abs(row[k]) > Math.abs(rows[top][k]) ? k + at : top, k);
    [rows[k], rows[best]] = [rows[best], rows[k]];
    for (let other = k + 1; other < b.length; other++) {
      const factor = rows[other][k] / rows[k][k];
      for (let column = k; column <= b.length; column++) rows[other][column] -= factor * rows[k][column];
    }
  }
  const x = b.map(() => 0);
  for (let k = b.length - 1; k >= 0; k--) {
    x[k] = (rows[k][b.length] - x.reduce((sum, each, at) => at > k ? sum + rows[k][at] * each : sum, 0)) / rows[k][k];
  }
  return x;
}

/** Least squares: the w with the smallest Σ(X·w − y)². @type {(x: number[][], y: number[]) => number[]} */
export function leastSquares(x, y) {
  const columns = x[0].map((_, k) => k);
  const normal = columns.map((i) => columns.map((j) => x.reduce((sum, row) => sum + row[i] * row[j], 0)));
  return solve(normal, columns.map((i) => x.reduce((sum, row, n) => sum + row[i] * y[n], 0)));
}

// L1 and L2

const TRUE = [2, -1.5, 1, 0, 0, 0, 0, 0];

/** 30 examples of 8 inputs, of which three matter. @type {(seed: number) => { x: number[][], y: number[] }} */
export function regression(seed) {
  const random = new Random(seed);
  const x = Array.from({ length: 30 }, () => TRUE.map(() => random.normal()));
  return { x, y: x.map((row) => row.reduce((sum, each, k) => sum + each * TRUE[k], random.normal())) };
}

/**
 * The weights with the smallest ½·mean (X·w − y)² + l1·Σ|w| + ½·l2·Σw², one weight after the other (coordinate descent).
 * @type {(x: number[][], y: number[], l1: number, l2: number) => number[]}
 */
export function penalised(x, y, l1, l2) {
  const w = x[0].map(() => 0);
  const left = [...y]; // y − X·w
  const count = y.length;
  for (let round = 0; round < 200; round++) {
    for (let k = 0; k < w.length; k++) {
      let [pull, square] = [0, 0];
      for (let n = 0; n < count; n++) {
        pull += x[n][k] * (left[n] + x[n][k] * w[k]) / count;
        square += x[n][k] ** 2 / count;
      }
      const next = Math.sign(pull) * Math.max(0, Math.abs(pull) - l1) / (square + l2);
      for (let n = 0; n < count; n++) left[n] -= x[n][k] * (next - w[k]);
      w[k] = next;
    }
  }
  return w;
}

/** @type {(values: Values) => string} */
export function penaltySentence({ l1, l2, seed }) {
  const { x, y } = regression(seed);
  const [free, w] = [penalised(x, y, 0, 0), penalised(x, y, l1, l2)];
  const zeros = w.filter((each) => each === 0).length;
  const size = (/** @type {number[]} */ of) => Math.sqrt(of.reduce((sum, each) => sum + each * each, 0));
  const off = (/** @type {number[]} */ of) => size(of.map((each, k) => each - TRUE[k]));
  const what = l1 || l2 ? `With l1 = ${short(l1)} and l2 = ${short(l2)}` : "Without a penalty";
  return `${what} ${zeros} of 8 weights are exactly 0; their length √Σw² is ${written(size(w), 2)}, without a penalty ${
    written(size(free), 2)
  }. ` +
    `From the true weights they are ${written(off(w), 2)} away, without a penalty ${written(off(free), 2)}.`;
}

const STRENGTHS = [0, 0.01, 0.03, 0.1, 0.3, 1];

/** @type {Part} */
export const penaltyPart = {
  name: "penalties",
  title: "L1 makes zeros, L2 makes small",
  about: [
    "Eight inputs, of which three matter, and 30 noisy examples. The weights make this smallest: ½·mean (w·x − y)² + l1·Σ|w| + ½·l2·Σw².",
    "L2 pulls each weight by l2·w: strongly where it is large, hardly where it is small. L1 pulls all by l1·sign(w), the same amount, down to exactly 0.",
  ],
  ask: {
    question: "Which penalty sets weights to exactly 0?",
    choices: ["L1", "L2", "Both"],
    right: 0,
    because: "The pull of L1 does not get weaker near 0. That of L2 does, so its weights become small and stay.",
  },
  controls: [
    { kind: "slider", name: "l1", label: "l1", values: STRENGTHS, start: 0.1, text: short },
    { kind: "slider", name: "l2", label: "l2", values: STRENGTHS, start: 0, text: short },
    { kind: "slider", name: "seed", label: "Seed of the examples", values: [1, 2, 3, 4, 5], start: 1, text: short },
  ],
  show(figure, values, say) {
    const { x, y } = regression(values.seed);
    const places = (/** @type {number[]} */ w, /** @type {number} */ shift) =>
      w.map((each, k) => /** @type {Place} */ ([k + 1 + shift, each]));
    draw(figure, "The eight weights, with the penalty, without it, and the true ones", {
      x: [0.4, 8.6],
      y: [-2.5, 3],
      xName: "weight",
      yName: "value",
      xTicks: [1, 2, 3, 4, 5, 6, 7, 8],
      bars: [
        { name: "without penalty", style: "e", places: places(penalised(x, y, 0, 0), -0.2), wide: 0.34 },
        { name: "with it", style: "f", places: places(penalised(x, y, values.l1, values.l2), 0.2), wide: 0.34 },
      ],
      dots: [{ name: "true", style: "c", places: places(TRUE, 0) }],
    });
    say(penaltySentence(values));
  },
};

// Bias and variance

const SETS = 40;
const AT = Array.from({ length: 61 }, (_, k) => -1 + k / 30);

/** The truth that noisy points are drawn from. @type {(x: number) => number} */
export function truth(x) {
  return Math.sin(Math.PI * x);
}

/** Chebyshev's polynomials up to a degree at x: as good as powers, and they can be computed with. @type {(x: number, degree: number) => number[]} */
function basis(x, degree) {
  const row = [1, x];
  for (let k = 2; k <= degree; k++) row.push(2 * x * row[k - 1] - row[k - 2]);
  return row.slice(0, degree + 1);
}

/**
 * Fits of a polynomial to 40 sets of noisy points: each curve, their mean, and from these bias², variance and noise, all as means over x.
 * @type {(values: Values) => { curves: number[][], mean: number[], bias: number, variance: number, noise: number }}
 */
export function resampled({ degree, count, noise, seed }) {
  const random = new Random(seed);
  const curves = Array.from({ length: SETS }, () => {
    const x = Array.from({ length: count }, (_, k) => -1 + 2 * (k + random.uniform()) / count);
    const w = leastSquares(
      x.map((each) => basis(each, degree)),
      x.map((each) => truth(each) + noise * random.normal()),
    );
    return AT.map((each) => basis(each, degree).reduce((sum, term, k) => sum + term * w[k], 0));
  });
  const average = (/** @type {number[]} */ values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const mean = AT.map((_, k) => average(curves.map((curve) => curve[k])));
  return {
    curves,
    mean,
    bias: average(AT.map((x, k) => (mean[k] - truth(x)) ** 2)),
    variance: average(AT.map((_, k) => average(curves.map((curve) => (curve[k] - mean[k]) ** 2)))),
    noise: noise ** 2,
  };
}

/** @type {(values: Values) => string} */
export function resampledSentence(values) {
  const { bias, variance, noise } = resampled(values);
  const larger = bias > variance
    ? "Bias is the larger part: the curve is too stiff"
    : "Variance is the larger part: each set gives another curve";
  return `Bias² ${written(bias)} + variance ${written(variance)} + noise ${written(noise)} = ${
    written(bias + variance + noise)
  }, the expected squared error on new points. ${larger}.`;
}

/** @type {Part} */
export const resampledPart = {
  name: "bias-variance",
  title: "Bias and variance, over 40 sets of points",
  about: [
    "The same curve is measured 40 times, with noise, and each time a polynomial is fitted. Bias is how far their mean is from the truth, variance how far the single fits are from their mean.",
  ],
  ask: {
    question: "More degrees of freedom: what happens to bias and variance?",
    choices: ["Both fall", "Bias falls, variance rises", "Bias rises, variance falls"],
    right: 1,
    because:
      "A supple curve comes closer to the truth on average, and follows the noise of each set as well. More points lower the variance, never the bias of a stiff curve.",
  },
  controls: [
    { kind: "slider", name: "degree", label: "Degree", values: [0, 1, 2, 3, 5, 7, 9], start: 1, text: short },
    { kind: "slider", name: "count", label: "Points in a set", values: [15, 20, 30, 60], start: 15, text: short },
    { kind: "slider", name: "noise", label: "Noise", values: [0.1, 0.3, 0.5], start: 0.3, text: short },
    { kind: "slider", name: "seed", label: "Seed", values: [1, 2, 3], start: 1, text: short },
  ],
  show(figure, values, say) {
    const { curves, mean } = resampled(values);
    const places = (/** @type {number[]} */ curve) => AT.map((x, k) => /** @type {Place} */ ([x, curve[k]]));
    draw(figure, "Fits to many sets of points, their mean, and the truth", {
      x: [-1, 1],
      y: [-2, 2],
      xName: "x",
      lines: [
        ...curves.slice(0, 15).map((curve, k) => ({
          name: k ? undefined : "15 of the 40 fits",
          style: /** @type {const} */ ("d"),
          places: places(curve),
        })),
        { name: "mean of the fits", style: "b", places: places(mean) },
        { name: "truth", style: "a", places: places(AT.map(truth)) },
      ],
    });
    say(resampledSentence(values));
  },
};

// A straight line, and a sigmoid around it

/** Twelve points of two classes, and one more of class 1 far to the right. @type {(far: number) => Place[]} */
export function twoClasses(far) {
  const zeros = [0.4, 0.9, 1.3, 1.8, 2.2, 2.9];
  return [
    ...zeros.map((x) => /** @type {Place} */ ([x, 0])),
    ...[2.5, 3.1, 3.6, 4, 4.4, far].map((x) => /** @type {Place} */ ([x, 1])),
  ];
}

/** Slope and height at 0 of the least squares line. @type {(points: Place[]) => number[]} */
export function straight(points) {
  return leastSquares(points.map(([x]) => [x, 1]), points.map(([, y]) => y));
}

/** Slope and height at 0 under the sigmoid, by Newton's method on the cross-entropy. @type {(points: Place[]) => number[]} */
export function logistic(points) {
  let w = [0, 0];
  for (let round = 0; round < 30; round++) {
    const rows = points.map(([x]) => [x, 1]);
    const p = rows.map(([x]) => sigmoid(w[0] * x + w[1]));
    const sum = (/** @type {(n: number) => number} */ of) => points.reduce((total, _, n) => total + of(n), 0);
    const hessian = [0, 1].map((i) => [0, 1].map((j) => sum((n) => p[n] * (1 - p[n]) * rows[n][i] * rows[n][j])));
    const step = solve(hessian, [0, 1].map((i) => sum((n) => (p[n] - points[n][1]) * rows[n][i])));
    w = w.map((each, k) => each - step[k]);
  }
  return w;
}

/** @type {(values: Values) => { line: number[], curve: number[], borders: number[], wrong: number[] }} */
export function bothFits({ far }) {
  const points = twoClasses(far);
  const [line, curve] = [straight(points), logistic(points)];
  const borders = [(0.5 - line[1]) / line[0], -curve[1] / curve[0]];
  const wrong = borders.map((border) => points.filter(([x, label]) => (x > border ? 1 : 0) !== label).length);
  return { line, curve, borders, wrong };
}

/** @type {(values: Values) => string} */
export function logisticSentence(values) {
  const { line, borders, wrong } = bothFits(values);
  const end = line[0] * 12 + line[1];
  return `The line crosses 0.5 at x = ${written(borders[0], 2)} (${wrong[0]} of 12 wrong), the sigmoid at ${
    written(borders[1], 2)
  } (${wrong[1]} wrong). ` +
    `At x = 12 the line claims a “probability” of ${written(end, 2)}.`;
}

/** @type {Part} */
export const logisticPart = {
  name: "logistic",
  title: "A straight line, squeezed by a sigmoid",
  about: [
    "Twelve points of two classes, 0 and 1. A straight line fitted by least squares can be asked: above 0.5 is class 1. Squeezed by a sigmoid, σ(w·x + b), and fitted by cross-entropy, it is logistic regression: one neuron.",
  ],
  ask: {
    question: "One point of class 1 moves far to the right, where it is clearly class 1. Which border moves?",
    choices: ["Only the line's", "Only the sigmoid's", "Both by as much"],
    right: 0,
    because:
      "The line must pass near 1 out there, so it tilts, and its border moves. The sigmoid is 1 out there already: a point that is clearly right pulls no more.",
  },
  controls: [
    { kind: "slider", name: "far", label: "The point at the right", values: [5, 6, 8, 10, 12], start: 5, text: short },
    {
      kind: "choice",
      name: "shown",
      label: "Shown",
      texts: ["line and sigmoid", "the line alone", "the sigmoid alone"],
      start: 0,
    },
  ],
  show(figure, values, say) {
    const { line, curve, borders } = bothFits(values);
    const points = twoClasses(values.far);
    const xs = Array.from({ length: 121 }, (_, k) => k / 10);
    /** @type {(name: string, style: "a" | "b", of: (x: number) => number) => { name: string, style: "a" | "b", places: Place[] }} */
    const drawn = (name, style, of) => ({ name, style, places: xs.map((x) => [x, of(x)]) });
    const both = [
      drawn("straight line", "b", (x) => line[0] * x + line[1]),
      drawn("sigmoid", "a", (x) => sigmoid(curve[0] * x + curve[1])),
    ];
    const shown = both.filter((_, k) => values.shown === 0 || values.shown === k + 1);
    draw(figure, "Two classes, a straight line, a sigmoid, and where each crosses one half", {
      x: [0, 12],
      y: [-0.4, 1.6],
      xName: "x",
      yName: "class, and what is fitted to it",
      lines: [{ style: "d", places: [[0, 0.5], [12, 0.5]] }, ...shown],
      dots: [
        { name: "points", style: "c", places: points },
        {
          name: "borders",
          style: "f",
          places: borders.filter((_, k) => values.shown === 0 || values.shown === k + 1).map((x) => [x, 0.5]),
          size: 6,
        },
      ],
    });
    say(logisticSentence(values));
  },
};
