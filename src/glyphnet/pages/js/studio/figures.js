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
