// @ts-check
// Resizing as Pillow does it, to the bit: weights in float64, rounded to 22 bits, one pass for each direction.

/**
 * A typed array of any kind, as far as the steps here use it.
 * @typedef {{
 *   readonly length: number,
 *   [i: number]: number,
 *   [Symbol.iterator](): IterableIterator<number>,
 *   every(test: (value: number, i: number) => boolean): boolean,
 *   fill(value: number): Values,
 *   filter(test: (value: number, i: number) => any): Values,
 *   forEach(use: (value: number, i: number) => void): void,
 *   includes(value: number): boolean,
 *   indexOf(value: number): number,
 *   map(change: (value: number, i: number) => number): Values,
 *   reduce(join: (sum: number, value: number, i: number) => number, start: number): number,
 *   set(values: ArrayLike<number>, at?: number): void,
 *   slice(): Values,
 *   some(test: (value: number, i: number) => boolean): boolean,
 *   sort(): Values,
 *   subarray(from: number, to?: number): Values,
 * }} Values
 */
/** A picture of one channel, its values row by row. @typedef {{ data: Values, width: number, height: number }} Grey */

/** @type {{ [filter: string]: { support: number, weight: (x: number) => number } }} */
const RESAMPLING = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  triangle: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight: (x) => {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? (((d - 5) * d + 8) * d - 4) * -0.5 : 0;
    },
  },
};

/**
 * For each place of the result: where its sources begin, and their weights as whole numbers, 2²² in all.
 * @type {(
 *   from: number, to: number, filter: { support: number, weight: (x: number) => number },
 * ) => { first: number, weights: Int32Array }[]}
 */
function resamplingWeights(from, to, { support, weight }) {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const reach = support * stretch;
  const rows = [];
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const last = Math.min(from, Math.trunc(centre + reach + 0.5));
    const weights = [];
    let sum = 0;
    for (let j = first; j < last; j++) {
      weights.push(weight((j - centre + 0.5) * (1 / stretch)));
      sum += weights[j - first];
    }
    const whole = weights.map((w) => {
      const share = (sum === 0 ? w : w / sum) * 4194304;
      return Math.trunc(share < 0 ? share - 0.5 : share + 0.5);
    });
    rows.push({ first, weights: Int32Array.from(whole) });
  }
  return rows;
}

/**
 * One pass: `count` lines, each of `from` pixels `step` apart, lines `stride` apart; the same layout in the result.
 * @type {(
 *   source: Values, result: Uint8Array, rows: { first: number, weights: Int32Array }[], count: number,
 *   lineIn: number, stepIn: number, lineOut: number, stepOut: number,
 * ) => void}
 */
function resampleLines(source, result, rows, count, lineIn, stepIn, lineOut, stepOut) {
  for (let line = 0; line < count; line++) {
    for (let i = 0; i < rows.length; i++) {
      const { first, weights } = rows[i];
      let sum = 2097152;
      let place = line * lineIn + first * stepIn;
      for (let j = 0; j < weights.length; j++, place += stepIn) sum += source[place] * weights[j];
      const value = Math.floor(sum / 4194304);
      result[line * lineOut + i * stepOut] = value < 0 ? 0 : value > 255 ? 255 : value;
    }
  }
}

/**
 * {data, width, height} of one channel in another size.
 * @type {(image: Grey, width: number, height: number, filter: "box" | "triangle" | "bicubic") => Grey}
 */
export function resizeGrey(image, width, height, filter) {
  let { data } = image;
  if (width !== image.width) {
    const result = new Uint8Array(width * image.height);
    const rows = resamplingWeights(image.width, width, RESAMPLING[filter]);
    resampleLines(data, result, rows, image.height, image.width, 1, width, 1);
    data = result;
  }
  if (height !== image.height) {
    const result = new Uint8Array(width * height);
    const rows = resamplingWeights(image.height, height, RESAMPLING[filter]);
    resampleLines(data, result, rows, width, 1, width, 1, width);
    data = result;
  }
  return { data, width, height };
}
