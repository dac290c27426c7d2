// @ts-check
// What the answer rests on: each patch is wiped out in turn, and the change of the answer is measured (occlusion:
// Zeiler & Fergus, 2014). The work is done in slices, so that drawing never waits.

import { scores } from "./network.js";
/** @import { Shape } from "./ink.js" */
/** @import { Reader } from "./network.js" */

const PATCHES = 14; // along the shorter side, each overlapping its neighbours
const SLICE = 8; // milliseconds of work before the browser gets control back

/**
 * Log odds of a class against all others: they still change where the probability is rounded to 100 %.
 * @type {(values: Float32Array, target: number) => number}
 */
function logOdds(values, target) {
  const others = values.filter((_, i) => i !== target);
  if (!others.length) return values[target];
  const highest = others.reduce((most, value) => Math.max(most, value), -Infinity);
  return values[target] - highest - Math.log(others.reduce((sum, value) => sum + Math.exp(value - highest), 0));
}

/**
 * The background: the median of each channel along the border.
 * @type {(pixels: ArrayLike<number>, shape: Shape) => number[]}
 */
function backdrop(pixels, [height, width, channels]) {
  return Array.from({ length: channels }, (_, c) => {
    const ring = [];
    for (let row = 0; row < height; row++) {
      const step = row === 0 || row === height - 1 ? 1 : Math.max(1, width - 1);
      for (let column = 0; column < width; column += step) ring.push(pixels[(row * width + column) * channels + c]);
    }
    return ring.sort((a, b) => a - b)[Math.floor(ring.length / 2)];
  });
}

/**
 * How much each pixel speaks for the target class (above 0) or against it; the strongest has 1 or -1. Resolves to null
 * as soon as `stopped()` is true.
 * @type {(
 *   reader: Reader, pixels: ArrayLike<number> & Iterable<number>, target: number, stopped: () => boolean,
 * ) => Promise<Float32Array | null>}
 */
export async function occlusion(model, pixels, target, stopped) {
  const [height, width, channels] = model.shape;
  const stride = Math.max(1, Math.round(Math.min(height, width) / PATCHES));
  const size = 2 * stride;
  const whole = logOdds(scores(model, pixels), target);
  const sums = new Float32Array(height * width);
  const counts = new Uint16Array(height * width);
  const empty = backdrop(pixels, model.shape);
  let began = performance.now();
  for (let top = 1 - size; top < height; top += stride) {
    for (let left = 1 - size; left < width; left += stride) {
      if (performance.now() - began > SLICE) {
        await new Promise((resume) => setTimeout(resume));
        if (stopped()) return null;
        began = performance.now();
      }
      const inside = patch(top, left, size, height, width);
      const wiped = Uint8Array.from(pixels);
      for (const place of inside) wiped.set(empty, place * channels);
      const changed = wiped.some((value, i) => value !== pixels[i]);
      const drop = changed ? whole - logOdds(scores(model, wiped), target) : 0;
      for (const place of inside) {
        sums[place] += drop;
        counts[place]++;
      }
    }
  }
  const mean = sums.map((sum, i) => sum / counts[i]);
  const most = mean.reduce((best, value) => Math.max(best, Math.abs(value)), 1e-9);
  return mean.map((value) => value / most);
}

/**
 * The numbers of the pixels in a square, as far as it lies in the image.
 * @type {(top: number, left: number, size: number, height: number, width: number) => number[]}
 */
function patch(top, left, size, height, width) {
  /** @type {number[]} */
  const places = [];
  for (let row = Math.max(0, top); row < Math.min(height, top + size); row++) {
    for (let column = Math.max(0, left); column < Math.min(width, left + size); column++) {
      places.push(row * width + column);
    }
  }
  return places;
}
