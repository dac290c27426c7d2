// @ts-check
// "None of these": how unlike the training pictures an input is. A small form of glyphnet/nn/prototypes.py, for the few
// pictures of a page: the features of the training pictures themselves are the prototypes.

import { Random } from "../engine/random.js";
import { Network } from "../network.js";
import { FEATURES_AFTER } from "./recipe.js";
/** @import { Description } from "../engine/layers.js" */
/** @import { Task } from "./learner.js" */

/** What foreign.js computes with: see `Foreign` there. @typedef {import("../foreign.js").Foreign} Bank */

const MOST = 400; // prototypes
const SHARE = 0.95; // of the pictures that were not learned from and must not be rejected
const MARGIN = 1.25; // few pictures say little about the rare ones

/** Features of pictures, one row each. @type {(network: Network, pixels: Uint8Array, size: number) => Float32Array[]} */
function featuresOf(network, pixels, size) {
  const rows = [];
  for (let at = 0; at < pixels.length; at += size) {
    rows.push(
      network.forward(
        Float32Array.from(pixels.subarray(at, at + size), (value) => value / 255),
        1,
        undefined,
        0,
        FEATURES_AFTER,
      ).slice(),
    );
  }
  return rows;
}

/** @type {(one: Float32Array, other: Float32Array) => number} */
function distance(one, other) {
  let [product, a, b] = [0, 0, 0];
  for (let i = 0; i < one.length; i++) {
    product += one[i] * other[i];
    a += one[i] * one[i];
    b += other[i] * other[i];
  }
  return 1 - product / (Math.sqrt(a * b) || 1);
}

/** @type {(values: number[], share: number) => number} */
function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

/**
 * The bank of a training; null where nothing was held out that could say what is usual.
 * @type {(task: Task, layers: Description[]) => Bank | null}
 */
export function prototypesOf({ shape, train, test, seed }, layers) {
  if (!test.labels.length) return null;
  const size = shape[0] * shape[1] * shape[2];
  const network = new Network(shape, layers, { batch: 1 });
  const order = new Random(seed).order(train.labels.length).subarray(0, MOST);
  const some = new Uint8Array(order.length * size);
  order.forEach((row, place) => some.set(train.x.subarray(row * size, (row + 1) * size), place * size));
  const bank = featuresOf(network, some, size);
  const distances = featuresOf(network, test.x, size).map((row) =>
    Math.min(...bank.map((each) => distance(row, each)))
  );
  const features = bank[0].length;
  const directions = new Float32Array(bank.length * features);
  bank.forEach((row, place) => {
    const most = row.reduce((high, value) => Math.max(high, Math.abs(value)), 0) || 1;
    directions.set(row.map((value) => Math.round(127 * value / most)), place * features);
  });
  return {
    after: FEATURES_AFTER,
    features,
    directions,
    weights: new Float32Array(bank.length).fill(1),
    contrast: 0,
    roughness: null,
    outside: 10,
    flat: 1e-5,
    threshold: MARGIN * quantile(distances, SHARE),
    twice: false,
  };
}
