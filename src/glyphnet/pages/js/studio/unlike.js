// @ts-check
// "None of these": how unlike the training pictures an input is, and how sure an answer must be. As fit_prototypes in
// glyphnet/nn/prototypes.py and choose_thresholds in glyphnet/evaluation/calibration.py compute it.

import { Random } from "../engine/random.js";
import { foreignScore, nearestPrototype, texture } from "../foreign.js";
import { Network, softmax } from "../network.js";
import { AT_ONCE } from "./session.js";
import { FEATURES_AFTER } from "./recipe.js";
/** @import { Description } from "../engine/layer.js" */
/** @import { Foreign } from "../foreign.js" */
/** @import { Task } from "./session.js" */

/** What foreign.js computes with: see `Foreign` there. @typedef {Foreign} Bank */
/** bank: null without pictures that have features; threshold: the least probability of an answer. @typedef {{ bank: Bank | null, threshold: number | null }} Limits */
/** What pictures are compared by: features, one row each, contrast and roughness. @typedef {{ rows: Float32Array[], contrast: number[], roughness: number[] }} Compared */

const PER_CLASS = [10, 100]; // fewest and most prototypes of a class
const WANTED = 400; // of all classes together
const MOST_VALUES = 1 << 18; // numbers in a bank
const SAMPLE = 5000; // training pictures among which prototypes are sought
const ROUNDS = 10; // of k-means
const REACH = 0.8; // quantile of the distances of a prototype's own pictures
const PRIOR = 10; // pictures: how many the reach of the whole bank counts for in that of one prototype
const POWER = 1 / 3;
const MARGIN = 0.9; // the range of contrast and roughness is so much wider than what was seen
const OUTSIDE = 10;
const FLAT = 1e-5;
const KEPT = 0.99; // share of the pictures that were held out and must not be rejected
const MANY = 100; // pictures that were held out: fewer say little about the rare ones, and a page has often ten
const ROOM = 1.25; // so much farther a picture may lie where they are few
const ROUNDING = 1e-4; // by which a threshold is looser than the picture that set it

/** A row at length 1; a row of zeros stays. @type {(row: Float32Array) => Float32Array} */
function unit(row) {
  const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0)) || 1;
  return row.map((value) => value / length);
}

/** @type {(one: Float32Array, other: Float32Array) => number} */
function product(one, other) {
  let sum = 0;
  for (let i = 0; i < one.length; i++) sum += one[i] * other[i];
  return sum;
}

/** Which row is nearest by angle, all of length 1, and its product. @type {(rows: Float32Array[], to: Float32Array) => [number, number]} */
function nearest(rows, to) {
  let [best, most] = [0, -Infinity];
  for (let place = 0; place < rows.length; place++) {
    const found = product(rows[place], to);
    if (found > most) [best, most] = [place, found];
  }
  return [best, most];
}

/** The quantile, between two values in proportion. @type {(values: number[], share: number) => number} */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

/** The centres of clusters of rows of length 1 (spherical k-means). @type {(rows: Float32Array[], count: number, random: Random) => Float32Array[]} */
function centresOf(rows, count, random) {
  if (rows.length <= count) return rows;
  let centres = [...random.order(rows.length).subarray(0, count)].sort((a, b) => a - b).map((row) => rows[row]);
  for (let round = 0; round < ROUNDS; round++) {
    const sums = centres.map(({ length }) => new Float32Array(length));
    const used = centres.map(() => false);
    for (const row of rows) {
      const [place] = nearest(centres, row);
      used[place] = true;
      for (let i = 0; i < row.length; i++) sums[place][i] += row[i];
    }
    centres = centres.map((centre, place) => unit(used[place] ? sums[place] : centre));
  }
  return centres.filter((row) => row.some((value) => value !== 0));
}

/** More for the prototypes of dense clusters, whose own pictures all lie near. @type {(rows: Float32Array[], units: Float32Array[]) => Float32Array} */
function weightsOf(rows, units) {
  /** @type {number[][]} */
  const own = units.map(() => []);
  const all = rows.map((row) => {
    const [place, cosine] = nearest(units, row);
    own[place].push(1 - cosine);
    return 1 - cosine;
  });
  const whole = quantile(all, REACH);
  return Float32Array.from(own, (distances) => {
    const reach = distances.length ? quantile(distances, REACH) : whole;
    const mixed = (distances.length * reach + PRIOR * whole) / (distances.length + PRIOR);
    return mixed > 0 ? (whole / mixed) ** POWER : 1;
  });
}

/**
 * The bank of training pictures, without a threshold; null without any picture that has features. With no more pictures in
 * a class than it gets prototypes they are those of Python, but for rounding; else the first centres are other ones.
 * @type {(compared: Compared, labels: ArrayLike<number>, seed?: number) => Bank | null}
 */
export function bankOf({ rows, contrast, roughness }, labels, seed = 0) {
  const some = [...rows.keys()].filter((row) =>
    rows[row].every(Number.isFinite) && rows[row].some((each) => each !== 0)
  );
  if (!some.length) return null;
  const directions = rows.map(unit);
  const classes = [...new Set(some.map((row) => labels[row]))].sort((a, b) => a - b);
  const features = rows[0].length;
  const most = Math.max(1, Math.floor(MOST_VALUES / features));
  const each = Math.min(
    Math.max(Math.floor(WANTED / classes.length), PER_CLASS[0]),
    PER_CLASS[1],
    Math.floor(most / classes.length),
  );
  const groups = each ? classes.map((label) => some.filter((row) => labels[row] === label)) : [some];
  const random = new Random(seed);
  const centres = groups.flatMap((group) => centresOf(group.map((row) => directions[row]), each || most, random));
  const rounded = new Float32Array(centres.length * features);
  centres.forEach((centre, place) => {
    const high = centre.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
    rounded.set(centre.map((value) => even(value / high * 127)), place * features);
  });
  const units = centres.map((_, place) => unit(rounded.subarray(place * features, (place + 1) * features)));
  const outliers = Math.floor(rows.length / 1000);
  const least = [...contrast].sort((a, b) => a - b)[outliers];
  const roughest = [...roughness].sort((a, b) => b - a)[outliers];
  return {
    after: FEATURES_AFTER,
    features,
    directions: rounded,
    weights: weightsOf(some.map((row) => directions[row]), units),
    contrast: least > FLAT ? least * MARGIN : 0,
    roughness: roughest > 0 ? roughest / MARGIN : null,
    outside: OUTSIDE,
    flat: FLAT,
    threshold: null,
    twice: true,
  };
}

/** To the nearest whole number, halves to the even one, as NumPy rounds. @type {(value: number) => number} */
function even(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

/**
 * The thresholds that keep 99 % of the pictures that were held out; see `choose_thresholds`.
 * @type {(confidence: number[], scores: number[] | null) => { foreign: number | null, confidence: number | null }}
 */
export function thresholdsOf(confidence, scores) {
  const count = confidence.length;
  if (!count) return { foreign: null, confidence: null };
  const allowed = Math.floor((1 - KEPT) * count + 1e-9);
  let limit = null;
  let like = confidence;
  if (scores !== null) {
    limit = [...scores].sort((a, b) => a - b)[count - 1 - Math.floor(allowed / 2)] * (1 + ROUNDING) + ROUNDING ** 2;
    const most = limit;
    like = confidence.filter((_, row) => scores[row] <= most);
  }
  const left = allowed - (count - like.length);
  return { foreign: limit, confidence: [...like].sort((a, b) => a - b)[left] * (1 - ROUNDING) };
}

/** The limits of a training, by the pictures that it did not learn from. @type {(task: Task, layers: Description[]) => Limits} */
export function limitsOf({ shape, train, test, given, seed }, layers) {
  const size = shape[0] * shape[1] * shape[2];
  const network = new Network(shape, layers, { batch: AT_ONCE });
  const inputs = (/** @type {Uint8Array} */ pixels) =>
    Array.from(
      { length: pixels.length / size },
      (_, row) => Float32Array.from(pixels.subarray(row * size, (row + 1) * size), (value) => value / 255),
    );
  const featuresOf = (/** @type {Float32Array} */ input) =>
    network.forward(input, 1, undefined, 0, FEATURES_AFTER).slice();
  const order = new Random(seed).order(train.labels.length).subarray(0, SAMPLE).sort();
  const some = [...order].map((row) => train.x.subarray(row * size, (row + 1) * size));
  const learned = some.flatMap(inputs);
  const textures = learned.map((input) => texture(input, shape, FLAT));
  const bank = bankOf(
    {
      rows: learned.map(featuresOf),
      contrast: textures.map(({ contrast }) => contrast),
      roughness: textures.map(({ roughness }) => roughness),
    },
    [...order].map((row) => train.labels[row]),
    seed,
  );
  const held = inputs(test.x);
  const classes = network.classes;
  const confidence = held.map((input) => Math.max(...softmax(network.forward(input, 1).subarray(0, classes))));
  const scores = bank && held.map((input, row) => {
    const score = foreignScore(bank, input, shape, nearestPrototype(bank, featuresOf(input)));
    const own = given[row];
    return own ? (score + nearestPrototype(bank, featuresOf(inputs(own)[0]))) / 2 : score;
  });
  const limits = thresholdsOf(confidence, scores);
  const few = held.length < MANY;
  const threshold = limits.foreign && limits.foreign * (few ? ROOM : 1);
  return { bank: bank && { ...bank, threshold }, threshold: few ? null : limits.confidence };
}
