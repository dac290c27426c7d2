// @ts-check
// SHA-256 (FIPS 180-4). Browsers have it too, but not on every page, and not in one call.

/** The cube roots of the first 64 primes, their first 32 bits behind the point; `power` 2: the square roots. @type {(power: number, count: number) => Uint32Array} */
function roots(power, count) {
  const made = new Uint32Array(count);
  for (let number = 2, found = 0; found < count; number++) {
    let isPrime = true;
    for (let factor = 2; factor * factor <= number; factor++) if (number % factor === 0) isPrime = false;
    if (isPrime) made[found++] = Math.floor((number ** (1 / power) % 1) * 2 ** 32);
  }
  return made;
}

const ADDED = roots(3, 64);
const START = roots(2, 8);

/** @type {(value: number, by: number) => number} */
function turned(value, by) {
  return (value >>> by) | (value << (32 - by));
}

/** The digest of some bytes, as 64 hexadecimal digits. @type {(bytes: Uint8Array) => string} */
export function sha256(bytes) {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, bytes.length << 3);
  const state = START.slice();
  const words = new Int32Array(64);
  for (let block = 0; block < padded.length; block += 64) {
    for (let i = 0; i < 16; i++) words[i] = view.getInt32(block + 4 * i);
    for (let i = 16; i < 64; i++) {
      const [far, near] = [words[i - 15], words[i - 2]];
      const first = turned(far, 7) ^ turned(far, 18) ^ (far >>> 3);
      const second = turned(near, 17) ^ turned(near, 19) ^ (near >>> 10);
      words[i] = (words[i - 16] + first + words[i - 7] + second) | 0;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const choice = (e & f) ^ (~e & g);
      const first = (h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + choice + ADDED[i] + words[i]) | 0;
      const majority = (a & b) ^ (a & c) ^ (b & c);
      h = g;
      g = f;
      f = e;
      e = (d + first) | 0;
      d = c;
      c = b;
      b = a;
      a = (first + (turned(b, 2) ^ turned(b, 13) ^ turned(b, 22)) + majority) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] += value));
  }
  return Array.from(state, (word) => word.toString(16).padStart(8, "0")).join("");
}
