// @ts-check
// Changed copies of training pictures: turned, sheared, scaled, moved and bent a little, as another hand would draw them; in
// other light, for photographs.

/** @import { Random } from "../engine/random.js" */
/** @import { Shape } from "../engine/layer.js" */

/**
 * How much a picture is changed at most. turn: radians; shear, scale, light: shares; shift, bend: pixels of a picture of 28;
 * noise: deviation in levels; mirror: whether left and right may change places.
 * @typedef {{ turn: number, shear: number, scale: number, shift: number, bend: number, light: number, noise: number, mirror: boolean }} Change
 */

/** Of drawings and of photographs. @type {{ [kind: string]: Change }} */
export const CHANGES = {
  ink: { turn: 0.22, shear: 0.2, scale: 0.12, shift: 1.5, bend: 1.3, light: 0, noise: 0, mirror: false },
  photo: { turn: 0.17, shear: 0.08, scale: 0.12, shift: 2.5, bend: 0.6, light: 0.2, noise: 4, mirror: true },
};

/** For data that will be worse than those of training. @type {(change: Change) => Change} */
export function stronger(change) {
  const { turn, shear, scale, shift, bend, light, noise, mirror } = change;
  return {
    turn: 1.6 * turn,
    shear: 1.3 * shear,
    scale: 1.6 * scale,
    shift: 1.8 * shift,
    bend: 1.2 * bend,
    light: light + 0.2,
    noise: noise + 12,
    mirror,
  };
}

const KNOTS = 4; // along each side, between which the bending is interpolated

/**
 * A changed copy of a picture, `from` its first value in `pixels`; written as shares of white from `to` on.
 * @type {(pixels: Uint8Array, from: number, shape: Shape, change: Change, random: Random, values: Float32Array, to: number) => void}
 */
export function changedCopy(pixels, from, [height, width, channels], change, random, values, to) {
  const within = (/** @type {number} */ most) => (2 * random.uniform() - 1) * most;
  const size = Math.max(height, width) / 28;
  const turn = within(change.turn);
  const [tall, wide] = [1 + within(change.scale), 1 + within(change.scale)];
  const [cos, sin, shear] = [Math.cos(turn), Math.sin(turn), within(change.shear)];
  const flip = change.mirror && random.uniform() < 0.5 ? -1 : 1;
  const matrix = [cos * flip / wide, (-sin + shear * cos) / tall, sin * flip / wide, (cos + shear * sin) / tall];
  const [left, top] = [within(change.shift * size), within(change.shift * size)];
  const bends = Float32Array.from({ length: 2 * KNOTS * KNOTS }, () => within(change.bend * size));
  const [gain, lift] = [1 + within(change.light), within(change.light / 2)];
  const row = width * channels;
  for (let y = 0, at = to; y < height; y++) {
    const v = (y + 0.5) / height * (KNOTS - 1);
    const knotY = Math.min(KNOTS - 2, Math.floor(v));
    for (let x = 0; x < width; x++) {
      const u = (x + 0.5) / width * (KNOTS - 1);
      const knotX = Math.min(KNOTS - 2, Math.floor(u));
      const [p, q] = [u - knotX, v - knotY];
      const knot = 2 * (knotY * KNOTS + knotX);
      const a = (1 - p) * (1 - q), b = p * (1 - q), c = (1 - p) * q, d = p * q;
      const below = knot + 2 * KNOTS;
      const bendX = a * bends[knot] + b * bends[knot + 2] + c * bends[below] + d * bends[below + 2];
      const bendY = a * bends[knot + 1] + b * bends[knot + 3] + c * bends[below + 1] + d * bends[below + 3];
      const [dx, dy] = [x + 0.5 - width / 2, y + 0.5 - height / 2];
      const sx = Math.max(0, Math.min(width - 1, matrix[0] * dx + matrix[1] * dy + width / 2 - 0.5 + left + bendX));
      const sy = Math.max(0, Math.min(height - 1, matrix[2] * dx + matrix[3] * dy + height / 2 - 0.5 + top + bendY));
      const [ix, iy] = [Math.min(width - 2, Math.floor(sx)), Math.min(height - 2, Math.floor(sy))];
      const [fx, fy] = [sx - ix, sy - iy];
      const start = from + iy * row + ix * channels;
      for (let channel = 0; channel < channels; channel++, at++) {
        const one = start + channel;
        const upper = pixels[one] + fx * (pixels[one + channels] - pixels[one]);
        const lower = pixels[one + row] + fx * (pixels[one + row + channels] - pixels[one + row]);
        const value = (upper + fy * (lower - upper)) / 255;
        if (!change.light && !change.noise) values[at] = value;
        else {
          const noise = change.noise ? change.noise / 255 * (random.uniform() + random.uniform() - 1) * 2.45 : 0;
          values[at] = Math.max(0, Math.min(1, (value - 0.5) * gain + 0.5 + lift + noise));
        }
      }
    }
  }
}
