// @ts-check
// Array operations of the drawing steps, in whole numbers: the same values as glyphnet.data.ink.filters in Python.
// A grey picture is {data, width, height}, data a typed array, row by row.

import { resizeGrey } from "./resample.js";
/** @import { Grey, Values } from "./resample.js" */

/** Part of a picture; ends excluded. @typedef {{ top: number, bottom: number, left: number, right: number }} Box */

/**
 * A picture of the same size with other values.
 * @type {(size: { width: number, height: number }, data: Values) => Grey}
 */
export function like({ width, height }, data) {
  return { data, width, height };
}

/**
 * Otsu's threshold of values, clipped to 0 to 255: the variance between the values above it and the others is largest.
 * @type {(values: ArrayLike<number> & Iterable<number>) => number}
 */
export function otsuThreshold(values) {
  const counts = new Array(256).fill(0);
  for (const value of values) counts[Math.min(255, Math.max(0, value))]++;
  const pixels = values.length;
  const whole = counts.reduce((sum, count, level) => sum + count * level, 0);
  let [below, mass, best, most] = [0, 0, 0, 0];
  for (let level = 0; level < 256; level++) {
    below += counts[level];
    mass += counts[level] * level;
    const difference = whole * below - mass * pixels;
    const between = below && below < pixels ? ((difference / below) * difference) / (pixels - below) : 0;
    if (between > most) [best, most] = [level, between];
  }
  return best;
}

/**
 * The depth of full ink: the median above Otsu's threshold.
 * @type {(data: Values) => number}
 */
export function fullInk(data) {
  const clipped = data.map((value) => Math.min(255, Math.max(0, value)));
  const threshold = otsuThreshold(clipped);
  const ink = clipped.filter((value) => value > threshold);
  return ink.length ? upperMedian(ink) : 0;
}

/**
 * The value at place ⌊n·share/of⌋ of the n sorted values.
 * @type {(values: ArrayLike<number>, share: number, of: number) => number}
 */
export function ranked(values, share, of) {
  const sorted = Int32Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * share) / of))];
}

/** @type {(values: ArrayLike<number>) => number} */
export function upperMedian(values) {
  return ranked(values, 1, 2);
}

/**
 * The picture with a rim of `by` pixels: of one level, or the edge repeated where that is null.
 * @type {(image: Grey, by: number, level?: number | null) => Grey}
 */
export function rimmed({ data, width, height }, by, level = null) {
  const [wide, high] = [width + 2 * by, height + 2 * by];
  const result = new Int32Array(wide * high);
  for (let y = 0, i = 0; y < high; y++) {
    const row = Math.min(height - 1, Math.max(0, y - by));
    for (let x = 0; x < wide; x++, i++) {
      const column = Math.min(width - 1, Math.max(0, x - by));
      const inside = row === y - by && column === x - by;
      result[i] = inside || level === null ? data[row * width + column] : level;
    }
  }
  return { data: result, width: wide, height: high };
}

/**
 * The eight neighbours' values of a pixel of a picture that has a rim of one pixel, row by row.
 * @type {(image: Grey, x: number, y: number) => number[]}
 */
export function neighbours({ data, width }, x, y) {
  const i = (y + 1) * width + x + 1;
  return [i - width - 1, i - width, i - width + 1, i - 1, i + 1, i + width - 1, i + width, i + width + 1].map((k) =>
    data[k]
  );
}

/**
 * Smoothing by 1 2 1 in both directions, edges repeated, rounded.
 * @type {(image: Grey) => Grey}
 */
export function binomial(image) {
  const { width, height } = image;
  const { data, width: step } = rimmed(image, 1);
  const result = new Int32Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const k = (y + 1) * step + x + 1;
      const corners = data[k - step - 1] + data[k - step + 1] + data[k + step - 1] + data[k + step + 1];
      const sides = data[k - step] + data[k + step] + data[k - 1] + data[k + 1];
      result[i] = (corners + 2 * sides + 4 * data[k] + 8) >> 4;
    }
  }
  return like(image, result);
}

/**
 * The mean over (2·reach + 1)² pixels, edges repeated, halves up.
 * @type {(image: Grey, reach: number) => Grey}
 */
export function boxMean(image, reach) {
  const { width, height } = image;
  const { data, width: step } = rimmed(image, reach);
  const size = 2 * reach + 1;
  const result = new Int32Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      let total = 0;
      for (let v = y; v < y + size; v++) for (let u = x; u < x + size; u++) total += data[v * step + u];
      result[i] = Math.floor((2 * total + size * size) / (2 * size * size));
    }
  }
  return like(image, result);
}

/**
 * Change each row or each column by a function of a line; all results have the same length.
 * @type {(image: Grey, byRow: boolean, change: (line: Int32Array) => Int32Array) => Grey}
 */
export function alongLines({ data, width, height }, byRow, change) {
  const [count, size, stride, step] = byRow ? [height, width, width, 1] : [width, height, 1, width];
  const lines = Array.from(
    { length: count },
    (_, n) => change(Int32Array.from({ length: size }, (_, i) => data[n * stride + i * step])),
  );
  const long = lines[0].length;
  const result = new Int32Array(count * long);
  lines.forEach((line, n) => line.forEach((value, i) => (result[byRow ? n * long + i : i * count + n] = value)));
  return byRow ? { data: result, width: long, height } : { data: result, width, height: long };
}

/**
 * Morphological opening over a square, dilated by `wider` pixels more; beyond the border values continue as they do
 * inside (2·a₀ − aₖ).
 * @type {(image: Grey, reach: number, wider?: number) => Grey}
 */
export function opened(image, reach, wider = 0) {
  const by = 2 * reach;
  /** @type {(line: Int32Array) => Int32Array} */
  const continued = (line) => {
    const last = line.length - 1;
    return Int32Array.from({ length: line.length + 2 * by }, (_, k) => {
      const place = k - by;
      const inside = Math.min(last, Math.max(0, place));
      return place === inside ? line[inside] : 2 * line[inside] - line[Math.min(last, Math.max(0, 2 * inside - place))];
    });
  };
  /** @type {(line: Int32Array) => Int32Array} */
  const least = (line) => windowed(line, reach, Math.min);
  /** @type {(line: Int32Array) => Int32Array} */
  const most = (line) => windowed(line, reach + wider, Math.max);
  let made = image;
  for (const change of [continued, least, most]) {
    for (const byRow of [false, true]) made = alongLines(made, byRow, change);
  }
  const box = { top: by, bottom: by + image.height, left: by, right: by + image.width };
  return cutOut(made, box);
}

/**
 * The minimum or maximum within `reach` of each place of a line, by windows of doubling length.
 * @type {(line: Int32Array, reach: number, choose: (one: number, other: number) => number) => Int32Array}
 */
function windowed(line, reach, choose) {
  const size = line.length + 2 * reach;
  /** @type {Int32Array} */
  let now = new Int32Array(size).fill(choose === Math.min ? 2147483647 : -2147483648);
  now.set(line, reach);
  let long = 1;
  for (; 2 * long <= 2 * reach + 1; long *= 2) now = withNext(now, long, choose);
  return withNext(now, 2 * reach + 1 - long, choose).subarray(0, line.length);
}

/**
 * The minimum or maximum of each value and the one `by` places later.
 * @type {(line: Int32Array, by: number, choose: (one: number, other: number) => number) => Int32Array}
 */
function withNext(line, by, choose) {
  const result = line.slice();
  for (let i = 0; i + by < line.length; i++) result[i] = choose(line[i], line[i + by]);
  return result;
}

/**
 * A new array of the same kind.
 * @type {(data: Values, length: number) => Values}
 */
function sameKind(data, length) {
  return new (/** @type {new (length: number) => Values} */ (data.constructor))(length);
}

/**
 * Part of a picture, of the same kind of array.
 * @type {(image: Grey, box: Box) => Grey}
 */
export function cutOut({ data, width }, { top, bottom, left, right }) {
  const part = sameKind(data, (bottom - top) * (right - left));
  for (let y = top; y < bottom; y++) {
    part.set(data.subarray(y * width + left, y * width + right), (y - top) * (right - left));
  }
  return { data: part, width: right - left, height: bottom - top };
}

/**
 * Reduced by a whole factor; what is left of the last incomplete pixel is cut off.
 * @type {(grey: Grey, factor: number) => Grey}
 */
export function reduced(grey, factor) {
  if (factor === 1) return grey;
  const [width, height] = [grey.width, grey.height].map((side) => Math.max(1, Math.floor(side / factor)));
  const right = Math.min(grey.width, width * factor);
  const bottom = Math.min(grey.height, height * factor);
  return resizeGrey(cutOut(grey, { top: 0, bottom, left: 0, right }), width, height, "box");
}

/**
 * 0 up to `low` hundredths of full ink, 255 from `high`, linear between.
 * @type {(depth: Grey, full: number, shares: [number, number]) => Grey}
 */
export function ramp(depth, full, [low, high]) {
  const rise = (high - low) * full;
  /** @type {(value: number) => number} */
  const level = (value) =>
    Math.min(255, Math.max(0, Math.floor((510 * (100 * value - low * full) + rise) / (2 * rise))));
  return like(depth, depth.data.map(level));
}

/**
 * Twice the area over the length of the outline, in pixels.
 * @type {(image: Grey) => number}
 */
export function strokeWidth(image) {
  const { area, outline } = outlineOf(image.data, image);
  return (2 * area) / Math.max(outline, 1);
}

/**
 * The width of edges: 4·Σ v·(full − v) / full / Σ|Δv|.
 * @type {(image: Grey, full: number) => number}
 */
export function softnessOf(image, full) {
  const inner = image.data.map((value) => Math.min(full, Math.max(0, value)));
  const { outline } = outlineOf(inner, image);
  const halves = inner.reduce((sum, value) => sum + value * (full - value), 0);
  return (4 * halves) / Math.max(outline * full, 1);
}

/**
 * How long the strokes are, in sizes of the drawing: area over mean width and longer side.
 * @type {(image: Grey, full: number) => number}
 */
export function strokeLengthOf(image, full) {
  const inner = image.data.map((value) => Math.min(full, Math.max(0, value)));
  const { area, outline } = outlineOf(inner, image);
  const box = boxOf(like(image, inner), full / 2);
  if (box === null) return 0;
  const size = Math.max(box.bottom - box.top, box.right - box.left);
  const many = inner.reduce((count, value) => count + (2 * value >= full ? 1 : 0), 0);
  return (many * outline) / Math.max(2 * size * area, 1);
}

/** @type {(data: Values, size: { width: number, height: number }) => { area: number, outline: number }} */
function outlineOf(data, size) {
  const around = rimmed(like(size, data), 1, 0);
  let [area, outline] = [0, 0];
  for (let i = around.width; i < around.data.length; i++) {
    const value = around.data[i];
    area += value;
    outline += Math.abs(value - around.data[i - around.width]) + Math.abs(value - around.data[i - 1]);
  }
  return { area, outline };
}

/**
 * Dilation by a cross and a square in turn; erosion where steps are negative.
 * @type {(image: Grey, steps: number) => Grey}
 */
export function thicken({ data, width, height }, steps) {
  const sign = Math.sign(steps);
  const row = width + 2;
  let now = rimmed({ data: Int32Array.from(data, (value) => sign * value), width, height }, 1, 0).data;
  const cross = [-1, 1, -row, row];
  const square = [...cross, -row - 1, -row + 1, row - 1, row + 1];
  for (let step = 0; step < Math.abs(steps); step++) {
    const next = now.slice();
    const around = step % 2 === 1 ? square : cross;
    for (let y = 1; y <= height; y++) {
      for (let i = y * row + 1; i <= y * row + width; i++) {
        let most = now[i];
        for (const by of around) if (now[i + by] > most) most = now[i + by];
        next[i] = most;
      }
    }
    now = next;
  }
  const whole = { data: Uint8Array.from(now, (value) => sign * value), width: row, height: height + 2 };
  return cutOut(whole, { top: 1, bottom: height + 1, left: 1, right: width + 1 });
}

/**
 * Pieces of a mask, corners touching: {pieces: Int32Array, 0 outside, count}, numbered row by row.
 * @type {(mask: Grey) => { pieces: Int32Array, count: number }}
 */
export function piecesOf({ data, width, height }) {
  const pieces = new Int32Array(data.length);
  let count = 0;
  for (let start = 0; start < data.length; start++) {
    if (!data[start] || pieces[start]) continue;
    const waiting = [start];
    pieces[start] = ++count;
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      const [y, x] = [Math.floor(at / width), at % width];
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const near = v * width + u;
          if (!data[near] || pieces[near]) continue;
          pieces[near] = count;
          waiting.push(near);
        }
      }
    }
  }
  return { pieces, count };
}

/**
 * The bounding box of values of at least `least`; ends excluded; null if there are none.
 * @type {(image: Grey, least: number) => Box | null}
 */
export function boxOf({ data, width, height }, least) {
  const box = { top: height, bottom: 0, left: width, right: 0 };
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (data[i] < least) continue;
      box.top = Math.min(box.top, y);
      box.bottom = y + 1;
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
    }
  }
  return box.bottom ? box : null;
}

/**
 * The outermost pixels, those of the corners twice.
 * @type {(image: Grey) => Values}
 */
export function borderOf({ data, width, height }) {
  const ring = sameKind(data, 2 * (width + height));
  let i = 0;
  for (let x = 0; x < width; x++) (ring[i++] = data[x]), (ring[i++] = data[(height - 1) * width + x]);
  for (let y = 0; y < height; y++) (ring[i++] = data[y * width]), (ring[i++] = data[y * width + width - 1]);
  return ring;
}
