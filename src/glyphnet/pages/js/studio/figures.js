// @ts-check
// Figures of a training: intervals and the paired test, as glyphnet/evaluation computes them.

/**
 * Wilson's 95 % interval of a share.
 * @type {(right: number, count: number) => [low: number, high: number]}
 */
export function wilson(right, count) {
  if (!count) return [0, 1];
  const z = 1.959963984540054;
  const share = right / count;
  const middle = share + z * z / (2 * count);
  const half = z * Math.sqrt(share * (1 - share) / count + z * z / (4 * count * count));
  const whole = 1 + z * z / count;
  return [Math.max(0, (middle - half) / whole), Math.min(1, (middle + half) / whole)];
}

const BINS = 15;

/** Pictures that were answered about as surely; confidence: the mean; accuracy: the share that was right. @typedef {{ low: number, high: number, count: number, confidence: number, accuracy: number }} Bin */

/** The reliability diagram of answers, in bins of equal width; empty ones are left out. @type {(sure: number[], right: boolean[]) => Bin[]} */
export function reliability(sure, right) {
  const edges = Array.from({ length: BINS + 1 }, (_, place) => place / BINS);
  const places = sure.map((value) => Math.min(BINS - 1, Math.max(0, edges.filter((edge) => edge < value).length - 1)));
  return edges.slice(0, BINS).flatMap((low, place) => {
    const rows = [...sure.keys()].filter((row) => places[row] === place);
    if (!rows.length) return [];
    const confidence = rows.reduce((sum, row) => sum + sure[row], 0) / rows.length;
    const accuracy = rows.filter((row) => right[row]).length / rows.length;
    return [{ low, high: edges[place + 1], count: rows.length, confidence, accuracy }];
  });
}

/** The expected calibration error (Guo et al. 2017). @type {(bins: Bin[]) => number} */
export function calibrationError(bins) {
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  return bins.reduce((sum, { count, accuracy, confidence }) => sum + count * Math.abs(accuracy - confidence), 0) /
    total;
}

/**
 * Of each class: how many pictures it has, precision, recall and F1, null where nothing is divided by.
 * @type {(confusion: number[][]) => { count: number, precision: number | null, recall: number | null, f1: number | null }[]}
 */
export function perClass(confusion) {
  return confusion.map((row, label) => {
    const count = row.reduce((sum, each) => sum + each, 0);
    const answered = confusion.reduce((sum, each) => sum + each[label], 0);
    const right = row[label];
    return {
      count,
      precision: answered ? right / answered : null,
      recall: count ? right / count : null,
      f1: answered + count ? 2 * right / (answered + count) : null,
    };
  });
}

/**
 * McNemar's exact test: the probability that two equally good models differ so much, when `onlyA` pictures were answered
 * right by the first alone and `onlyB` by the second alone.
 * @type {(onlyA: number, onlyB: number) => number}
 */
export function pairedTest(onlyA, onlyB) {
  const count = onlyA + onlyB;
  if (!count) return 1;
  let term = -count * Math.LN2; // log of the binomial probability of 0 of `count`
  let sum = 0;
  for (let k = 0; k <= Math.min(onlyA, onlyB); k++) {
    sum += Math.exp(term);
    term += Math.log(count - k) - Math.log(k + 1);
  }
  return Math.min(1, 2 * sum);
}
