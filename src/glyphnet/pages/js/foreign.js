// @ts-check
// The foreign score, rejection, and sets of classes: as glyphnet/nn/prototypes.py, answers.py and conformal.py compute
// them.

import { argmax, networkInput, softmax } from "./network.js";
/** @import { Shape } from "./engine/layer.js" */
/** @import { Model } from "./weights.js" */

/**
 * What the foreign score is computed from: Prototypes in glyphnet/nn/prototypes.py.
 * @typedef {{
 *   after: number, features: number, directions: Float32Array, weights: Float32Array, contrast: number,
 *   roughness: number | null, outside: number, flat: number, threshold: number | null, twice: boolean,
 * }} Foreign
 */
/**
 * Quantiles for sets of classes: glyphnet/conformal.py.
 * @typedef {{ score: string, images: number, ranks: number[], values: number[] }} Conformal
 */
/**
 * An answer; foreign: the foreign score; reason: the code of why it is rejected.
 * @typedef {{ probabilities: number[], foreign: number | null, reason: string | null }} Judged
 */

/**
 * Contrast and roughness of the network's input, a picture with its channels last.
 * @type {(values: Float32Array, shape: Shape, flat: number) => { contrast: number, roughness: number }}
 */
export function texture(values, [height, width, channels], flat) {
  const pixels = height * width;
  const means = new Float64Array(channels);
  values.forEach((value, i) => (means[i % channels] += value / pixels));
  const squares = values.reduce((sum, value, i) => sum + (value - means[i % channels]) ** 2, 0);
  const contrast = Math.sqrt(squares / values.length);
  const changes = [];
  const row = width * channels;
  if (height > 1) changes.push(meanStep(values, row, () => true));
  if (width > 1) changes.push(meanStep(values, channels, (i) => i % row >= channels));
  const change = changes.length ? changes.reduce((sum, value) => sum + value, 0) / changes.length : 0;
  return { contrast, roughness: contrast > flat ? change / contrast : 0 };
}

/**
 * The mean difference between values that lie `step` apart.
 * @type {(values: Float32Array, step: number, counts: (i: number) => boolean) => number}
 */
function meanStep(values, step, counts) {
  let sum = 0;
  let count = 0;
  for (let i = step; i < values.length; i++) {
    if (!counts(i)) continue;
    sum += Math.abs(values[i] - values[i - step]);
    count += 1;
  }
  return sum / count;
}

/**
 * The distance of features from the nearest prototype: the smallest of (1 - cosine) times weight.
 * @type {(foreign: Foreign, values: Float32Array) => number}
 */
export function nearestPrototype({ features, directions, weights }, values) {
  let length = 0;
  for (let f = 0; f < features; f++) length += values[f] * values[f];
  length = Math.sqrt(length) || 1;
  let least = Infinity;
  for (let m = 0; m < weights.length; m++) {
    let product = 0;
    let own = 0;
    for (let f = 0, at = m * features; f < features; f++, at++) {
      product += values[f] * directions[at];
      own += directions[at] * directions[at];
    }
    least = Math.min(least, (1 - product / (length * (Math.sqrt(own) || 1))) * weights[m]);
  }
  return least;
}

/** @type {(foreign: Foreign, input: Float32Array, shape: Shape, distance: number) => number} */
export function foreignScore(foreign, input, shape, distance) {
  const { contrast, roughness } = texture(input, shape, foreign.flat);
  let score = distance;
  if (foreign.contrast > 0) score += foreign.outside * Math.max(0, 1 - contrast / foreign.contrast);
  if (foreign.roughness !== null) score += foreign.outside * Math.max(0, roughness / foreign.roughness - 1);
  return score;
}

/**
 * The distance of a network's input from the prototypes by its features: the last hidden layer before its activation.
 * @type {(model: Model, foreign: Foreign, input: Float32Array) => number}
 */
function distanceOf({ network }, foreign, input) {
  return nearestPrototype(foreign, network.forward(input, 1, undefined, 0, foreign.after));
}

/**
 * Probabilities, score and reason (a code, or null) for pixels, 0 to 255, in the order (row, column, channel).
 * drawn, given: the reason of `normalizePicture`, and the picture before it was changed.
 * @type {(model: Model, pixels: ArrayLike<number>, drawn?: string | null, given?: ArrayLike<number> | null) => Judged}
 */
export function answerTo(model, pixels, drawn = null, given = null) {
  const input = networkInput(model, pixels);
  const { foreign, threshold } = model;
  const probabilities = softmax(model.network.forward(input).map((logit) => logit / model.temperature));
  let score = foreign === null ? null : foreignScore(foreign, input, model.shape, distanceOf(model, foreign, input));
  if (foreign?.twice && score !== null && given !== null) {
    score = (score + distanceOf(model, foreign, networkInput(model, given))) / 2;
  }
  let reason = drawn;
  const limit = foreign?.threshold ?? null;
  if (!reason && score !== null && limit !== null && score > limit) reason = "unlike_training";
  if (!reason && threshold !== null && probabilities[argmax(probabilities)] < threshold) reason = "low_confidence";
  return { probabilities, foreign: score, reason };
}

/**
 * The scores of classes whose probabilities are sorted, the largest first; 0 for the likeliest.
 * @type {{ [score: string]: (ranked: number[]) => number[] }}
 */
const SCORES = {
  probability: (ranked) => ranked.map((p, i) => (i ? 1 - p : 0)),
  ratio: (ranked) => ranked.map((p) => 1 - p / Math.max(ranked[0], Number.MIN_VALUE)),
  mass: (ranked) => ranked.map((_, i) => ranked.slice(0, i).reduce((sum, p) => sum + p, 0)),
};

/**
 * The labels of the set at `level`, the likeliest first; null where the model has too few calibration images for it.
 * @type {(conformal: Conformal | null, probabilities: number[], level: number) => number[] | null}
 */
export function setOf(conformal, probabilities, level) {
  if (conformal === null) return null;
  const rank = Math.ceil((conformal.images + 1) * level - 1e-9);
  if (rank > conformal.images) return null;
  const limit = conformal.values[conformal.ranks.findIndex((one) => one >= rank)];
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  const scores = SCORES[conformal.score](order.map((label) => probabilities[label]));
  const size = scores.filter((score) => score <= limit).length;
  return order.slice(0, Math.max(1, size));
}
