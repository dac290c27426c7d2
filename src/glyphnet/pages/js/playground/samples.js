// @ts-check
// The data of the playground: points that are computed, images that the page carries, and what its user draws.

import { Random } from "../engine/random.js";
/** @import { Shape } from "../engine/layer.js" */

/**
 * Labelled inputs. Images are pixels from 0 to 255; points are two numbers, about -1 to 1.
 * @typedef {{ x: Float32Array | Uint8Array, labels: Uint8Array }} Part
 */
/** A data set. @typedef {{ isPoints: boolean, shape: Shape, classes: string[], train: Part, test: Part }} Samples */
/**
 * Images in the page: pixels and labels are base64 of deflated bytes, the training images first.
 * @typedef {{
 *   name: string, classes: string[], shape: Shape, train: number, test: number, pixels: string, labels: string, source: string,
 *   ink: import("../ink.js").PageSpec,
 * }} Held
 */

/** Of each set of points: its name, and a random point with its label. @type {{ [data: string]: { name: string, draw: (random: Random) => [number, number, number] } }} */
export const POINTS = {
  xor: {
    name: "XOR",
    draw(random) {
      const [right, up] = [random.below(2), random.below(2)];
      return [(right ? 0.5 : -0.5) + 0.15 * random.normal(), (up ? 0.5 : -0.5) + 0.15 * random.normal(), right ^ up];
    },
  },
  moons: {
    name: "Two moons",
    draw(random) {
      const label = random.below(2);
      const angle = Math.PI * random.uniform();
      const [x, y] = label
        ? [0.5 - Math.cos(angle), 0.25 - Math.sin(angle)]
        : [Math.cos(angle) - 0.5, Math.sin(angle) - 0.25];
      return [0.6 * x + 0.06 * random.normal(), 0.75 * y + 0.06 * random.normal(), label];
    },
  },
  circles: {
    name: "Circles",
    draw(random) {
      const label = random.below(2);
      const angle = 2 * Math.PI * random.uniform();
      const radius = (label ? 0.35 : 0.8) + 0.07 * random.normal();
      return [radius * Math.cos(angle), radius * Math.sin(angle), label];
    },
  },
  spirals: {
    name: "Spirals",
    draw(random) {
      const label = random.below(2);
      const along = 0.08 + 0.92 * random.uniform();
      const angle = 3.2 * Math.PI * along + label * Math.PI;
      return [
        0.9 * along * Math.cos(angle) + 0.02 * random.normal(),
        0.9 * along * Math.sin(angle) + 0.02 * random.normal(),
        label,
      ];
    },
  },
  pulse: {
    name: "Square pulse",
    draw(random) {
      const x = 2 * random.uniform() - 1;
      return [x, 0.6 * (2 * random.uniform() - 1), Math.abs(x) < 0.35 ? 1 : 0];
    },
  },
};

export const PLANE = 40; // places along each side of the plane for which units and answers are shown
const TEST_POINTS = 200;

/** @type {(data: string, count: number, seed: number) => Samples} */
export function pointSamples(data, count, seed) {
  const random = new Random(seed);
  /** @type {(count: number) => Part} */
  const drawn = (count) => {
    const part = { x: new Float32Array(2 * count), labels: new Uint8Array(count) };
    for (let row = 0; row < count; row++) {
      const [x, y, label] = POINTS[data].draw(random);
      part.x.set([x, y], 2 * row);
      part.labels[row] = label;
    }
    return part;
  };
  const test = drawn(TEST_POINTS); // first, so that it stays the same whatever the size of the training part
  return { isPoints: true, shape: [1, 1, 2], classes: ["blue", "orange"], train: drawn(count), test };
}

/** Points that the user has set: all are learned from, and all are asked. @type {(points: [number, number, number][]) => Samples} */
export function ownPoints(points) {
  const part = {
    x: Float32Array.from(points.flatMap(([x, y]) => [x, y])),
    labels: Uint8Array.from(points, ([, , label]) => label),
  };
  return { isPoints: true, shape: [1, 1, 2], classes: ["blue", "orange"], train: part, test: part };
}

/** @type {(text: string) => Promise<Uint8Array>} */
async function inflated(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** All images of a set in the page. @type {(held: Held) => Promise<Samples>} */
export async function heldSamples({ classes, shape, train, pixels, labels }) {
  const [x, y] = await Promise.all([inflated(pixels), inflated(labels)]);
  const end = train * shape[0] * shape[1] * shape[2];
  return {
    isPoints: false,
    shape,
    classes,
    train: { x: x.subarray(0, end), labels: y.subarray(0, train) },
    test: { x: x.subarray(end), labels: y.subarray(train) },
  };
}

/**
 * Drawings, each a picture and its label: every fifth of a class is kept for the test, where there are five.
 * @type {(drawings: { pixels: Uint8Array, label: number }[], classes: string[], shape: Shape) => Samples}
 */
export function drawnSamples(drawings, classes, shape) {
  /** @type {{ pixels: Uint8Array, label: number }[]} */
  const train = [];
  /** @type {{ pixels: Uint8Array, label: number }[]} */
  const test = [];
  const seen = classes.map(() => 0);
  for (const drawing of drawings) (++seen[drawing.label] % 5 === 0 ? test : train).push(drawing);
  /** @type {(part: { pixels: Uint8Array, label: number }[]) => Part} */
  const joined = (part) => {
    const size = shape[0] * shape[1] * shape[2];
    const x = new Uint8Array(part.length * size);
    part.forEach(({ pixels }, row) => x.set(pixels, row * size));
    return { x, labels: Uint8Array.from(part, ({ label }) => label) };
  };
  return { isPoints: false, shape, classes, train: joined(train), test: joined(test) };
}

/**
 * The training part that is learned from: at most `size` samples, a share `noise` of them with a wrong label.
 * @type {(samples: Samples, size: number, noise: number, seed: number) => Part}
 */
export function chosen({ shape, classes, train }, size, noise, seed) {
  const width = shape[0] * shape[1] * shape[2];
  const count = Math.min(size, train.labels.length);
  const labels = train.labels.slice(0, count);
  const random = new Random(seed);
  if (noise && classes.length > 1) {
    for (let row = 0; row < count; row++) {
      if (random.uniform() < noise) labels[row] = (labels[row] + 1 + random.below(classes.length - 1)) % classes.length;
    }
  }
  return { x: train.x.slice(0, count * width), labels };
}
