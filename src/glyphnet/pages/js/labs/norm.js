// @ts-check
// A live part: what batch normalisation does to the activations of a deep network before it has learned anything.

import { percent } from "../elements.js";
import { Random } from "../engine/random.js";
import { Network } from "../network.js";
import { draw, short, written } from "./chart.js";
import { digits } from "./trained.js";
/** @import { Samples } from "../playground/samples.js" */
/** @import { Part } from "./frame.js" */
/** @import { Place } from "./chart.js" */

const DEPTH = 5;
const WIDTH = 32;
const IMAGES = 200;

/**
 * The sums of one layer of a network with five layers of 32 tanh units, before the activation, for a batch of inputs;
 * with batch normalisation they are those after it.
 * @type {(x: Float32Array, inputs: number, gain: number, layer: number, isNormed: boolean) => Float32Array}
 */
export function layerSums(x, inputs, gain, layer, isNormed) {
  const random = new Random(1);
  const layers = [
    { type: "flatten" },
    ...Array.from({ length: DEPTH }, (_, k) => {
      const from = k ? WIDTH : inputs;
      const weight = Float32Array.from({ length: from * WIDTH }, () => gain * random.normal() / Math.sqrt(from));
      const own = { type: "dense", outputs: WIDTH, weight, bias: new Float32Array(WIDTH) };
      return [own, ...(isNormed ? [{ type: "batchNorm" }] : []), { type: "activation", name: "tanh" }];
    }).flat(),
  ];
  const count = x.length / inputs;
  const network = new Network([1, 1, inputs], layers, { batch: count, training: true });
  const each = isNormed ? 3 : 2;
  const end = 1 + each * (layer - 1) + (isNormed ? 2 : 1);
  return network.forward(x, count, { training: true, random: null }, 0, end).slice();
}

/** @type {(sums: Float32Array) => { spread: number, saturated: number }} */
export function described(sums) {
  const mean = sums.reduce((sum, each) => sum + each, 0) / sums.length;
  const spread = Math.sqrt(sums.reduce((sum, each) => sum + (each - mean) ** 2, 0) / sums.length);
  return { spread, saturated: sums.filter((each) => Math.abs(Math.tanh(each)) > 0.95).length / sums.length };
}

/** @type {(plain: Float32Array, normed: Float32Array, layer: number) => string} */
export function normSentence(plain, normed, layer) {
  const [without, having] = [plain, normed].map(described);
  const words = without.spread < 0.3
    ? "the signal dies out"
    : without.saturated > 0.3
    ? "many units are stuck at −1 or 1, where tanh is flat and the gradient almost 0"
    : "the signal is of a good size";
  return `Layer ${layer}: without batch normalisation the sums spread by ${written(without.spread, 2)} and ${
    percent(without.saturated)
  } of the outputs are beyond ±0.95: ${words}. With it the spread is ${written(having.spread, 2)}, and ${
    percent(having.saturated)
  } are.`;
}

/** Shares of the sums in bins from -4 to 4. @type {(sums: Float32Array) => Place[]} */
function histogram(sums) {
  const bins = Array.from({ length: 40 }, (_, k) => /** @type {Place} */ ([-3.9 + 0.2 * k, 0]));
  for (const each of sums) bins[Math.max(0, Math.min(39, Math.floor((each + 4) / 0.2)))][1] += 1 / sums.length;
  return bins;
}

/** @type {Part<Samples>} */
export const normPart = {
  name: "batch-norm",
  title: "Batch normalisation, seen in the activations",
  about: [
    "200 digits go through five layers of 32 tanh units that have learned nothing yet. The slider sets how large the first weights are. Batch normalisation subtracts from each unit's sums the mean over the batch and divides by their spread.",
  ],
  ask: {
    question:
      "The first weights are four times too large. What do the outputs of tanh look like without batch normalisation?",
    choices: ["Most are near 0", "Most are near −1 or 1", "Just as with small weights"],
    right: 1,
    because:
      "Large sums drive tanh to its ends, where its derivative is nearly 0: such units hardly learn. With batch normalisation the size of the weights hardly matters.",
  },
  controls: [
    {
      kind: "slider",
      name: "gain",
      label: "Size of the first weights",
      values: [0.25, 0.5, 1, 2, 4],
      start: 2,
      text: short,
    },
    { kind: "slider", name: "layer", label: "Layer", values: [1, 2, 3, 4, 5], start: 3, text: short },
  ],
  needs: digits,
  show(figure, { gain, layer }, say, { train }) {
    const x = Float32Array.from(train.x.subarray(0, 64 * IMAGES), (value) => value / 255);
    const [plain, normed] = [false, true].map((isNormed) => layerSums(x, 64, gain, layer, isNormed));
    const [without, having] = [plain, normed].map(histogram);
    const top = Math.max(...without.map(([, share]) => share), ...having.map(([, share]) => share));
    draw(figure, `How often each sum occurs in layer ${layer}, without and with batch normalisation`, {
      x: [-4, 4],
      y: [0, Math.max(0.1, 1.1 * top)],
      xName: "sum before tanh; beyond ±4 at the ends",
      yName: "share",
      yFormat: (tick) => percent(tick, 1),
      bars: [{ name: "with batch normalisation", style: "e", places: having, wide: 0.18 }],
      lines: [{ name: "without", style: "b", places: without }],
    });
    say(normSentence(plain, normed, layer));
  },
};
