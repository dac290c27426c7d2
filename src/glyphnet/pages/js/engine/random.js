// @ts-check
// Random numbers from a seed: the same seed gives the same numbers in every browser.

/** sfc32 by Chris Doty-Humphrey (PractRand), which passes the usual tests and needs 32-bit numbers only. */
export class Random {
  /** @param {number} seed */
  constructor(seed) {
    /** @type {[number, number, number, number]} */
    this.state = [seed | 0, Math.floor(seed / 2 ** 32) | 0, 0x9e3779b9 | 0, 1];
    for (let round = 0; round < 16; round++) this.bits();
  }

  /** A whole number from 0 to 2³² - 1. */
  bits() {
    let [a, b, c, counter] = this.state;
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    this.state = [a, b, c, counter];
    return sum >>> 0;
  }

  /** A number from 0 up to 1, without 1. */
  uniform() {
    return this.bits() / 2 ** 32;
  }

  /** A number of the standard normal distribution (Box and Muller, 1958). */
  normal() {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** A whole number from 0 up to `count`, without `count`. @param {number} count */
  below(count) {
    return Math.floor(this.uniform() * count);
  }

  /** The numbers from 0 up to `count` in random order (Fisher and Yates). @param {number} count */
  order(count) {
    const order = Uint32Array.from({ length: count }, (_, place) => place);
    for (let last = count - 1; last > 0; last--) {
      const other = this.below(last + 1);
      [order[last], order[other]] = [order[other], order[last]];
    }
    return order;
  }
}
