// @ts-check
// Live parts about dropout: a network as the average of all its thinned ones, and dropout in the first epochs only.

import { percent } from "../elements.js";
import { Training } from "../engine/training.js";
import { Network } from "../network.js";
import { pointSamples } from "../playground/samples.js";
import { draw, short, written } from "./chart.js";
import { dense, digitTask, Trainer } from "./trained.js";
/** @import { Part, Values } from "./frame.js" */
/** @import { Place } from "./chart.js" */
/** @import { Samples } from "../playground/samples.js" */

const SHAPE = /** @type {[number, number, number]} */ ([1, 1, 2]);
const STEPS = 150;

/**
 * A network 2–units–1 that has learned two moons with dropout: what its hidden units answer to one input, the weights from
 * them, and the bias.
 * @type {(units: number, rate: number, x: number[]) => { hidden: number[], weights: number[], bias: number }}
 */
export function smallNetwork(units, rate, x) {
  const { train } = pointSamples("moons", 40, 1);
  const layers = dense([units, 1], "tanh", rate);
  const network = new Network(SHAPE, layers, { batch: 40, training: true, seed: 3 });
  const training = new Training(network, { optimizer: "adam", loss: "binary_cross_entropy", rate: 0.05, seed: 3 });
  for (let step = 0; step < STEPS; step++) training.step(train.x, train.labels);
  const hidden = Array.from(network.forward(Float32Array.from(x), 1, undefined, 0, 3));
  const last = network.chain.layers[network.chain.layers.length - 1];
  const [weight, bias] = last.parameters.map(({ value }) => Array.from(value.values));
  return { hidden, weights: weight, bias: bias[0] };
}

/**
 * The sums of all 2ⁿ thinned networks with their probabilities, their mean, and the sum of the whole network.
 * @type {(
 *   net: { hidden: number[], weights: number[], bias: number }, rate: number, scaled: boolean,
 * ) => { sums: Float64Array, chances: Float64Array, mean: number, whole: number, spread: number }}
 */
export function allMasks({ hidden, weights, bias }, rate, scaled) {
  const parts = hidden.map((each, k) => each * weights[k]);
  const count = 2 ** parts.length;
  const kept = scaled ? 1 / (1 - rate) : 1;
  const sums = new Float64Array(count);
  const chances = new Float64Array(count);
  for (let mask = 0; mask < count; mask++) {
    [sums[mask], chances[mask]] = [bias, 1];
    for (let k = 0; k < parts.length; k++) {
      const isKept = (mask >> k) & 1;
      chances[mask] *= isKept ? 1 - rate : rate;
      if (isKept) sums[mask] += kept * parts[k];
    }
  }
  const mean = sums.reduce((total, sum, mask) => total + chances[mask] * sum, 0);
  const square = sums.reduce((total, sum, mask) => total + chances[mask] * (sum - mean) ** 2, 0);
  return {
    sums,
    chances,
    mean,
    whole: bias + parts.reduce((total, part) => total + part, 0),
    spread: Math.sqrt(square),
  };
}

const ASKED = [[0.5, -0.6], [-0.5, 0.7], [0, 0.1]];

/** @type {(values: Values) => ReturnType<typeof allMasks>} */
export function thinned({ units, rate, scaling, point }) {
  return allMasks(smallNetwork(units, rate, ASKED[point]), rate, scaling === 0);
}

/** @type {(made: ReturnType<typeof allMasks>, values: Values) => string} */
export function thinnedSentence({ sums, mean, whole }, values) {
  const same = Math.abs(mean - whole) < 1e-6;
  const scale = written(1 / (1 - values.rate), 2);
  const first = `Weighed by their chances, the ${short(sums.length)} thinned networks say ${
    written(mean)
  } on average; the whole network says ${written(whole)}.`;
  if (same) {
    return `${first} Both agree exactly, because each kept unit counts 1/(1 − ${short(values.rate)}) = ${scale} times.`;
  }
  return `${first} They differ: without the factor ${scale}, training sees smaller sums than the whole network gives later.`;
}

/** @type {Part} */
export const thinnedPart = {
  name: "thinned",
  title: "Dropout is an average of thinned networks",
  about: [
    "With n hidden units there are 2ⁿ ways of leaving some out. This network has learned two moons with dropout. Here all of its thinned networks are computed, none is drawn at random: each bar is how likely a sum is that the output unit gets, before its sigmoid.",
  ],
  ask: {
    question: "At rate 0.5, by what are the units that are left multiplied while training?",
    choices: ["By 0.5", "By 1", "By 2"],
    right: 2,
    because:
      "By 1/(1 − rate) = 2: so the sum is, on average, what it is when no unit is left out, and nothing needs to be changed afterwards.",
  },
  controls: [
    {
      kind: "slider",
      name: "units",
      label: "Hidden units",
      values: [2, 4, 6, 8, 10, 12],
      start: 8,
      text: short,
    },
    { kind: "slider", name: "rate", label: "Dropout rate", values: [0.1, 0.2, 0.3, 0.5, 0.7], start: 0.5, text: short },
    {
      kind: "choice",
      name: "scaling",
      label: "Units that are left count",
      texts: ["1/(1 − rate) times", "once"],
      start: 0,
    },
    {
      kind: "choice",
      name: "point",
      label: "Asked about",
      texts: ASKED.map(([x, y]) => `x = ${short(x)}, y = ${short(y)}`),
      start: 0,
    },
  ],
  show(figure, values, say) {
    const made = thinned(values);
    const { sums, chances, mean, whole } = made;
    const [low, high] = [Math.min(-1, whole, ...sums), Math.max(1, whole, ...sums)];
    const bins = 24;
    const wide = (high - low) / bins;
    const bars = Array.from({ length: bins }, (_, k) => /** @type {Place} */ ([low + (k + 0.5) * wide, 0]));
    sums.forEach((sum, mask) => bars[Math.min(bins - 1, Math.floor((sum - low) / wide))][1] += chances[mask]);
    const top = Math.max(...bars.map(([, share]) => share)) * 1.1;
    draw(figure, "How likely each sum is among all thinned networks, their mean, and the whole network", {
      x: [low, high],
      y: [0, top],
      xName: "sum of the output unit",
      yName: "probability",
      bars: [{ name: "thinned networks", style: "e", places: bars, wide: 0.9 * wide }],
      lines: [
        { name: "their mean", style: "c", places: [[mean, 0], [mean, top]] },
        { name: "the whole network", style: "b", places: [[whole, 0], [whole, top]] },
      ],
    });
    say(thinnedSentence(made, values));
  },
};

// Dropout in the first epochs only

const EPOCHS = 30;
const NAMES = ["no dropout", "dropout to the end", "dropout at first only"];
const trainer = new Trainer();

/** @type {(samples: Samples, values: Values) => import("../playground/session.js").Task[]} */
export function earlyTasks(samples, { rate, until, seed }) {
  const settings = /** @type {const} */ ({ optimizer: "adam", rate: 0.003 });
  return [0, rate, rate].map((each, run) => {
    const layers = dense([32, samples.classes.length], "relu", each);
    return digitTask(samples, { layers, settings, seed, batch: 20, dropUntil: run === 2 ? until : undefined });
  });
}

/** @type {(losses: number[], accuracies: number[], until: number) => string} */
export function earlySentence(losses, accuracies, until) {
  const told = NAMES.map((name, run) => `${name} ${written(losses[run])} and ${percent(accuracies[run])}`);
  const first = `Training loss in epoch ${EPOCHS} and test images named rightly: ${
    told.join("; ")
  } (until epoch ${until}).`;
  return `${first} That is one seed and 300 test images: a difference of two points may be chance.`;
}

/** @type {Part} */
export const earlyPart = {
  name: "early",
  title: "Early dropout: leave units out at first only",
  about: [
    "Liu and others (2023) stop dropout after the first part of the training: at first it makes the gradients of different batches agree more, later it keeps a network from fitting. A network 64–32–10 learns 400 digits here, three times from the same start.",
  ],
  ask: {
    question: "What does the training loss do when dropout stops?",
    choices: ["It falls at once", "It rises", "Nothing changes"],
    right: 0,
    because:
      "The loss of training is measured with units left out. From the moment all of them answer, it is that of the whole network, which is lower.",
  },
  controls: [
    { kind: "slider", name: "rate", label: "Dropout rate", values: [0.1, 0.3, 0.5, 0.7], start: 0.5, text: short },
    {
      kind: "slider",
      name: "until",
      label: "Early dropout until epoch",
      values: [3, 5, 10, 15, 20],
      start: 10,
      text: short,
    },
    { kind: "slider", name: "seed", label: "Seed", values: [1, 2, 3, 4, 5], start: 1, text: short },
  ],
  show(figure, values, say) {
    const { rate, until, seed } = values;
    const key = `${rate} ${until} ${seed}`;
    return trainer.run(key, (samples) => earlyTasks(samples, values), EPOCHS, (curves, isDone) => {
      draw(figure, "Training loss by epoch: no dropout, dropout to the end, dropout at first only", {
        x: [0, EPOCHS],
        y: [0.01, 3],
        isLog: true,
        xName: "epoch",
        yName: "training loss, as trained",
        lines: [
          { style: "d", places: [[until, 0.01], [until, 3]] },
          ...curves.map((curve, run) => ({
            name: NAMES[run],
            style: /** @type {const} */ (["c", "b", "a"])[run],
            places: curve.map(({ epoch, loss }) => /** @type {Place} */ ([epoch, loss])),
          })),
        ],
      });
      if (!isDone) return;
      const last = curves.map((curve) => curve[curve.length - 1]);
      say(earlySentence(last.map(({ loss }) => loss), last.map(({ accuracy }) => accuracy), until));
    });
  },
};
