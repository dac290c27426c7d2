// @ts-check
// Small pictures: noise, stripes, blur and an uneven background are measured, and only what exceeds training is
// repaired. The same values as glyphnet.data.ink.repair in Python, where the steps are described.

import {
  binomial,
  borderOf,
  boxMean,
  fullInk,
  like,
  neighbours,
  opened,
  otsuThreshold,
  piecesOf,
  ramp,
  ranked,
  rimmed,
  softnessOf,
  strokeLengthOf,
  upperMedian,
} from "./filters.js";
/** @import { InkSpec } from "./ink.js" */
/** @import { Grey, Values } from "./resample.js" */

/** How deep the ink is at each pixel, and the depth of full ink. @typedef {{ depth: Grey, full: number }} Ink */
/** A pixel and its value. @typedef {{ y: number, x: number, value: number }} Place */
/** Cycles on REPAIR.cycle pixels, down and across. @typedef {[number, number]} Wave */

/** @satisfies {{ ramp: [number, number], [limit: string]: number | number[] }} */
const REPAIR = {
  faintest: 24,
  fewest: 12,
  fewestStriped: 24,
  frame: 3,
  ramp: [25, 70],
  cycle: 4096,
  phases: 16,
  refined: 6,
  piece: 14,
  gain: 0.03,
  strengths: [1, 2, 3, 5, 8, 12],
};

/**
 * {depth, full, repaired} of the ink in a picture near the model's size; null if nothing is drawn.
 * @type {(grey: Grey, spec: InkSpec) => Ink & { repaired: boolean } | null}
 */
export function smallDepth(grey, spec) {
  const values = like(grey, Int32Array.from(grey.data));
  // Specifications of older models lack `stripes`.
  const { picture, stripes } = spec.stripes === false ? { picture: values, stripes: null } : withoutStripes(values);
  let { depth, light } = aboveBackground(picture);
  if (stripes !== null) depth = withHeadroom(depth, stripes, light);
  const noise = backgroundNoise(depth);
  let noisy = noise > spec.noise;
  if (specksOf(depth) > Math.max(spec.specks, Math.floor(1000 / depth.data.length))) {
    depth = withoutSpecks(depth);
    noisy = noisy || backgroundNoise(depth) > spec.noise;
  }
  if (noisy) depth = binomial(depth);
  depth = like(depth, depth.data.map((value) => Math.max(value, 0)));
  let full = fullInk(depth.data);
  if (full < Math.max(REPAIR.faintest, Math.floor(noise / 4))) return null;
  if (strokeLengthOf(depth, full) > spec.length) return null;
  let repaired = noisy || stripes !== null;
  if (repaired) {
    depth = withoutPieces(ramp(depth, full, REPAIR.ramp));
    full = 255;
  }
  if (softnessOf(depth, full) > spec.softness) {
    ({ depth, full } = sharpened(depth, spec));
    repaired = true;
  }
  return { depth, full, repaired };
}

/**
 * Four times the standard deviation of the noise on the background, in levels; 0 if there is none.
 * @type {(depth: Grey) => number}
 */
function backgroundNoise(depth) {
  const { data, width, height } = depth;
  if (Math.min(width, height) < 3) return 0;
  const threshold = otsuThreshold(data);
  const rough = [];
  for (let y = 0; y < height - 2; y++) {
    for (let x = 0; x < width - 2; x++) {
      const part = [0, 1, 2].map((v) => [0, 1, 2].map((u) => data[(y + v) * width + x + u]));
      if (part.flat().some((value) => value > threshold)) continue;
      const down = [0, 1, 2].map((u) => part[0][u] + part[2][u] - 2 * part[1][u]);
      rough.push(Math.abs(down[0] + down[2] - 2 * down[1]));
    }
  }
  if (rough.length < Math.max(64, Math.floor(((width - 2) * (height - 2)) / 10))) return 0;
  return upperMedian(rough);
}

/**
 * The ink without pieces much lighter than the heaviest.
 * @type {(depth: Grey) => Grey}
 */
export function withoutPieces(depth) {
  const { pieces, count } = piecesOf(like(depth, depth.data.map((value) => (value >= 64 ? 1 : 0))));
  if (count < 2) return depth;
  const mass = new Array(count + 1).fill(0);
  depth.data.forEach((value, i) => (mass[pieces[i]] += value));
  mass[0] = 0;
  const most = Math.max(...mass);
  return like(
    depth,
    depth.data.map((value, i) => (pieces[i] === 0 || mass[pieces[i]] * REPAIR.piece >= most ? value : 0)),
  );
}

/**
 * Unsharp masking, as much as makes edges as sharp as in training: {depth, full}.
 * @type {(depth: Grey, spec: InkSpec) => Ink}
 */
export function sharpened(depth, spec) {
  const blurred = boxMean(boxMean(depth, 2), 2).data;
  let made = depth.data;
  let full = 1;
  for (const strength of REPAIR.strengths) {
    made = depth.data.map((value, i) => Math.max(value + strength * (value - blurred[i]), 0));
    const most = made.reduce((peak, value) => Math.max(peak, value), 0);
    const level = fullInk(made.map((value) => Math.floor((value * 255) / Math.max(1, most))));
    full = Math.max(1, Math.floor((level * most) / 255));
    if (softnessOf(like(depth, made), full) <= spec.softness) break;
  }
  return { depth: like(depth, made.map((value) => Math.min(Math.floor((value * 255) / full), 255))), full: 255 };
}

/**
 * The background is even, a plane, or a surface, whichever separates ink from background best.
 * @type {(grey: Grey) => { depth: Grey, light: boolean }}
 */
function aboveBackground(grey) {
  let { above, share } = splitByLevel(grey.data);
  const plane = tiltedPlane(grey);
  if (plane.some((value) => value !== 0)) {
    const flat = grey.data.map((value, i) => value - plane[i]);
    const better = splitByLevel(flat);
    if (better.share > share + REPAIR.gain) {
      grey = like(grey, flat);
      ({ above, share } = better);
    }
  }
  const { depth, light } = aboveLevel(grey, above);
  const upright = like(grey, grey.data.map((value) => (light ? value : -value)));
  const ring = borderOf(upright);
  const small = Math.min(grey.width, grey.height) < REPAIR.fewest;
  if (small || ranked(ring, 19, 20) - ranked(ring, 1, 20) < REPAIR.faintest) return { depth, light };
  const reach = Math.max(2, Math.floor(Math.max(grey.width, grey.height) / 5));
  const ground = opened(binomial(binomial(upright)), reach).data;
  if (ranked(ground, 19, 20) - ranked(ground, 1, 20) < REPAIR.faintest) return { depth, light };
  let over = upright.data.map((value, i) => value - ground[i]);
  const offset = Math.max(0, ranked(over, 1, 3));
  over = over.map((value) => value - offset);
  const better = splitByLevel(over.map((value) => Math.min(255, Math.max(0, value)))).share > share + REPAIR.gain;
  return better ? { depth: like(grey, over), light } : { depth, light };
}

/**
 * Split values in two; above: 0 or 1 for each; share: of the variance that lies between the two.
 * @type {(values: Values) => { above: Values, share: number }}
 */
function splitByLevel(values) {
  const low = values.reduce((least, value) => Math.min(least, value), values[0]);
  const high = values.reduce((most, value) => Math.max(most, value), values[0]);
  const wide = high - low > 255;
  const scaled = values.map((value) => (wide ? Math.floor(((value - low) * 255) / (high - low)) : value - low));
  const threshold = otsuThreshold(scaled);
  const above = scaled.map((value) => (value > threshold ? 1 : 0));
  const n = scaled.length;
  let [total, squares, many, mass] = [0, 0, 0, 0];
  scaled.forEach((value, i) => {
    total += value;
    squares += value * value;
    if (above[i]) (many += 1), (mass += value);
  });
  const variance = n * squares - total * total;
  if (!variance || !many || many === n) return { above, share: 0 };
  const difference = mass * n - total * many;
  return { above, share: (((difference / many) * difference) / (n - many)) / variance };
}

/** @type {(grey: Grey, above: Values) => { depth: Grey, light: boolean }} */
function aboveLevel(grey, above) {
  const { width, height, data } = grey;
  const ring = borderOf(like(grey, above));
  const corners = above[0] + above[width - 1] + above[(height - 1) * width] + above[height * width - 1];
  const [onRing, onAll] = [ring, above].map((values) => values.reduce((sum, value) => sum + value, 0));
  const votes = 8 * above.length * onRing + ring.length * above.length * corners + 4 * ring.length * onAll;
  const light = votes < 8 * ring.length * above.length;
  const upright = data.map((value) => (light ? value : -value));
  const paper = upright.filter((_, i) => (above[i] === 1) !== light);
  const level = levelOf(paper.length ? paper : upright);
  return { depth: like(grey, upright.map((value) => value - level)), light };
}

/**
 * The level of an even background: its most frequent value (the lowest of several) if an eighth has it, else the
 * median.
 * @type {(paper: Values) => number}
 */
function levelOf(paper) {
  const counts = new Map();
  for (const value of paper) counts.set(value, (counts.get(value) ?? 0) + 1);
  let [level, most] = [0, 0];
  for (const [value, count] of counts) {
    if (count > most || (count === most && value < level)) [level, most] = [value, count];
  }
  return 8 * most >= paper.length ? level : upperMedian(paper);
}

/**
 * The plane through the medians of opposite sides, where they differ.
 * @type {(grey: Grey) => Values}
 */
function tiltedPlane({ data, width, height }) {
  /** @type {(count: number, at: (i: number) => number) => number} */
  const side = (count, at) => upperMedian(Int32Array.from({ length: count }, (_, i) => data[at(i)]));
  const down = side(width, (i) => (height - 1) * width + i) - side(width, (i) => i);
  const across = side(height, (i) => i * width + width - 1) - side(height, (i) => i * width);
  /** @type {(i: number, by: number, size: number) => number} */
  const fall = (
    i,
    by,
    size,
  ) => (Math.abs(by) >= REPAIR.faintest ? Math.floor(((2 * i + 1 - size) * by) / (2 * size)) : 0);
  return data.map((_, i) => fall(Math.floor(i / width), down, height) + fall(i % width, across, width));
}

/**
 * {picture: less lines that repeat across it, stripes: these, or null}, read in the frame along the border.
 * @type {(grey: Grey) => { picture: Grey, stripes: Int32Array | null }}
 */
function withoutStripes(grey) {
  const { data, width, height } = grey;
  const none = { picture: grey, stripes: null };
  if (Math.min(width, height) < REPAIR.fewestStriped) return none;
  const far = REPAIR.frame;
  const places = [];
  const isFramed = new Uint8Array(data.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (y >= far && y < height - far && x >= far && x < width - far) continue;
      isFramed[i] = 1;
      places.push({ y, x, value: data[i] });
    }
  }
  const frame = places.map(({ value }) => value);
  if (ranked(frame, 9, 10) - ranked(frame, 1, 10) < REPAIR.faintest) return none;
  const wave = waveIn(places, Math.min(width, height), Math.max(width, height));
  if (wave === null) return none;
  /** @type {number[][]} */
  const parts = Array.from({ length: REPAIR.phases }, () => []);
  for (const { y, x, value } of places) parts[phaseAt(y, x, wave)].push(value);
  const profile = parts.map((part) => (part.length ? upperMedian(part) : 0));
  const stripes = Int32Array.from(data, (_, i) => profile[phaseAt(Math.floor(i / width), i % width, wave)]);
  const left = data.map((value, i) => value - stripes[i]);
  const middle = upperMedian(frame);
  const [before, after] = [frame.map((value) => value - middle), left.filter((_, i) => isFramed[i])];
  const there = stripes.filter((_, i) => isFramed[i]).map((value) => value - middle);
  if (!isEverywhere(before, after, there, places, wave)) return none;
  // Ink is on one side of stripes. Where strokes were taken for stripes, the inner picture lies on both.
  const inner = left.filter((_, i) => !isFramed[i]);
  const clear = Math.max(REPAIR.faintest, Math.floor((Math.max(...profile) - Math.min(...profile)) / 4));
  const [below, above] = [-1, 1].map((sign) => inner.filter((value) => sign * value > clear).length);
  if (12 * Math.min(below, above) > inner.length) return none;
  return { picture: like(grey, left), stripes };
}

/**
 * Whether a wave explains most of the frame, and its line is there in each of its cycles: strokes end somewhere.
 * Only pixels where a line is expected count: ink between two lines does not speak against them.
 * @type {(before: number[], after: Values, there: Values, places: Place[], wave: Wave) => boolean}
 */
function isEverywhere(before, after, there, places, [down, across]) {
  const cycles = new Map();
  let [whole, rest] = [0, 0];
  places.forEach(({ y, x }, i) => {
    const key = Math.floor((y * down + x * across) / REPAIR.cycle);
    const cycle = cycles.get(key) ?? { size: 0, wanted: 0, missing: 0 };
    const isLine = Math.abs(there[i]) >= REPAIR.faintest;
    cycle.size++;
    cycle.wanted += isLine ? Math.abs(there[i]) : 0;
    cycle.missing += isLine ? Math.abs(after[i]) : 0;
    whole += Math.abs(before[i]);
    rest += Math.abs(after[i]);
    cycles.set(key, cycle);
  });
  const counted = [...cycles.values()].filter(({ size }) => 30 * size >= places.length); // not those that it only touches
  return 3 * rest <= whole && counted.every(({ wanted, missing }) => 2 * missing <= wanted);
}

/**
 * The phase of a wave at a place, in REPAIR.phases steps.
 * @type {(y: number, x: number, wave: Wave) => number}
 */
function phaseAt(y, x, [down, across]) {
  const turn = (y * down + x * across) % REPAIR.cycle;
  return Math.floor((((turn + REPAIR.cycle) % REPAIR.cycle) * REPAIR.phases) / REPAIR.cycle);
}

/**
 * [down, across], cycles on REPAIR.cycle pixels, of the wave that explains most of the frame; null if too little.
 * @type {(places: Place[], shorter: number, longer: number) => Wave | null}
 */
function waveIn(places, shorter, longer) {
  const n = places.length;
  let [total, squares] = [0, 0];
  for (const { value } of places) (total += value), (squares += value * value);
  const spread = n * squares - total * total;
  const [slowest, fastest] = [Math.floor((REPAIR.cycle * 5) / (2 * shorter)), Math.floor((REPAIR.cycle * 5) / 11)];
  let step = Math.floor(REPAIR.cycle / (2 * longer));
  /** @type {Wave[]} */
  let waves = [];
  for (let down = 0; down < fastest; down += step) {
    for (let across = -fastest; across < fastest; across += step) {
      const squared = down * down + across * across;
      if (squared >= slowest * slowest && squared <= fastest * fastest) waves.push([down, across]);
    }
  }
  for (;;) {
    const tried = waves.map((wave) => ({ wave, explained: explainedBy(wave, places) * n - total * total }));
    tried.sort((one, other) => other.explained - one.explained);
    const [best] = tried;
    if (step < 4 || 10 * best.explained < 3 * spread) return 10 * best.explained >= 6 * spread ? best.wave : null;
    step = Math.floor(step / 3);
    waves = [];
    for (const { wave: [down, across] } of tried.slice(0, REPAIR.refined)) {
      for (let k = -2; k < 3; k++) for (let m = -2; m < 3; m++) waves.push([down + step * k, across + step * m]);
    }
  }
}

/**
 * Σ over phases of (sum of the frame)² / number of its pixels.
 * @type {(wave: Wave, places: Place[]) => number}
 */
function explainedBy(wave, places) {
  const counts = new Array(REPAIR.phases).fill(0);
  const sums = counts.slice();
  for (const { y, x, value } of places) {
    const phase = phaseAt(y, x, wave);
    counts[phase]++;
    sums[phase] += value;
  }
  return sums.reduce((all, sum, k) => all + Math.floor((sum * sum) / Math.max(1, counts[k])), 0);
}

/**
 * Ink under stripes, as deep as between them; where stripes leave no room for ink, from the neighbours.
 * @type {(depth: Grey, stripes: Values, light: boolean) => Grey}
 */
function withHeadroom(depth, stripes, light) {
  const { width, height } = depth;
  /** @type {(choose: (one: number, other: number) => number, values: Values) => number} */
  const extreme = (choose, values) => values.reduce((found, value) => choose(found, value), values[0]);
  const room = stripes.map((value) => (light ? 255 - value : value));
  const most = extreme(Math.max, room);
  let made = depth.data.map((value, i) => Math.floor((value * most) / Math.max(room[i], 1)));
  let known = room.map((value) => (4 * value >= most ? 1 : 0));
  const middle = extreme(Math.min, stripes) + extreme(Math.max, stripes);
  const lined = stripes.map((value) => (2 * value >= middle === light ? 1 : 0));
  const [on, off] = [1, 0].map((side) => {
    const inside = made.filter((_, i) => known[i] && lined[i] === side);
    return { count: inside.length, sum: inside.reduce((sum, value) => sum + Math.max(value, 0), 0) };
  });
  if (on.count && off.count && 5 * on.sum * off.count < 2 * off.sum * on.count) {
    known = known.map((k, i) => (lined[i] ? 0 : k));
  }
  while (known.includes(0) && known.includes(1)) {
    const [filled, there] = [made.slice(), known.slice()];
    for (let i = 0; i < made.length; i++) {
      if (known[i]) continue;
      const [y, x] = [Math.floor(i / width), i % width];
      const near = [];
      if (y > 0) near.push(i - width);
      if (y < height - 1) near.push(i + width);
      if (x > 0) near.push(i - 1);
      if (x < width - 1) near.push(i + 1);
      const seen = near.filter((k) => known[k]);
      if (!seen.length) continue;
      filled[i] = Math.floor(seen.reduce((sum, k) => sum + made[k], 0) / seen.length);
      there[i] = 1;
    }
    [made, known] = [filled, there];
  }
  return like(depth, made);
}

/**
 * How many pixels of ink have no neighbour of ink, in thousandths of the picture.
 * @type {(depth: Grey) => number}
 */
function specksOf(depth) {
  const { data, width, height } = depth;
  const threshold = otsuThreshold(data);
  const ink = rimmed(like(depth, data.map((value) => (value > threshold ? 1 : 0))), 1, 0);
  let alone = 0;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) if (data[i] > threshold && !neighbours(ink, x, y).includes(1)) alone++;
  }
  return Math.floor((1000 * alone) / data.length);
}

/**
 * Pixels unlike nearly all of their neighbours become the median of these.
 * @type {(depth: Grey) => Grey}
 */
function withoutSpecks(depth) {
  const { width, height } = depth;
  let { data } = depth;
  for (let round = 0; round < 2; round++) {
    const wide = rimmed(like(depth, data), 1);
    const next = data.slice();
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const around = neighbours(wide, x, y);
        const apart = around.filter((value) => Math.abs(value - data[i]) >= 2 * REPAIR.faintest).length;
        if (apart >= 7) next[i] = ranked(around, 1, 2);
      }
    }
    data = next;
  }
  return like(depth, data);
}
