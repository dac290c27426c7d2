// Layers, on numbers small enough to check by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import { argmax, Network, networkInput, softmax } from "../../../src/glyphnet/pages/js/network.js";

/** @type {(height: number, width: number, channels: number, ...values: number[]) => any} */
const image = (height, width, channels, ...values) => ({ height, width, channels, values: Float32Array.from(values) });
/** @type {(layers: any[], x: any) => number[]} */
const after = (layers, { height, width, channels, values }) => [
  ...new Network([height, width, channels], layers).forward(values),
];

test("a convolution adds what lies under its window, and nothing beyond the border", () => {
  const layer = {
    type: "convolution",
    kernel: 3,
    stride: 1,
    padding: 1,
    weight: new Float32Array(9).fill(1),
    bias: new Float32Array([0.5]),
  };
  assert.deepEqual(after([layer], image(2, 2, 1, 1, 2, 3, 4)), [10.5, 10.5, 10.5, 10.5]);
  assert.deepEqual(after([{ ...layer, padding: 0 }], image(3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)), [9.5]);
});

test("a convolution keeps its inputs and outputs apart", () => {
  const weight = Float32Array.from([1, 10, 2, 20]); // (input, output)
  const layer = { type: "convolution", kernel: 1, stride: 1, padding: 0, weight, bias: new Float32Array(2) };
  assert.deepEqual(after([layer], image(1, 2, 2, 1, 0, 0, 1)), [1, 10, 2, 20]);
});

test("pooling takes the largest value of each channel, and leaves the odd row", () => {
  const x = image(3, 2, 2, 1, -1, 5, -2, 3, -3, 2, -4, 9, 9, 9, 9);
  assert.deepEqual(after([{ type: "maxPool", size: 2 }], x), [5, -1]);
  assert.deepEqual(after([{ type: "meanPixel" }], image(1, 2, 2, 1, 10, 3, 20)), [2, 15]);
});

test("a residual block adds its branch to its shortcut", () => {
  const branch = [{ type: "affine", scale: Float32Array.from([2]), shift: Float32Array.from([1]) }];
  assert.deepEqual(after([{ type: "residual", branch, shortcut: [] }], image(1, 2, 1, 3, 4)), [10, 13]);
});

test("activations have the values of their formulas", () => {
  /** @type {[string, number, number][]} */
  const known = [
    ["relu", -1, 0],
    ["leaky_relu", -1, -0.01],
    ["tanh", 0.5, 0.46211716],
    ["sigmoid", 0.5, 0.62245933],
    ["silu", 1, 0.73105858],
    ["gelu", 1, 0.84134475],
    ["gelu", -2, -0.04550026],
  ];
  for (const [name, x, y] of known) {
    assert(Math.abs(after([{ type: "activation", name }], image(1, 1, 1, x))[0] - y) < 1e-6, name);
  }
});

test("the input is standardised channel by channel, or has a norm of 1", () => {
  /** @type {any} */
  const network = { shape: [1, 1, 2], preprocessing: { mode: "standardize", mean: [0, 1], std: [1, 0.5] } };
  assert.deepEqual([...networkInput(network, [255, 0])], [1, -2]);
  network.preprocessing = { mode: "unit_norm", mean: [], std: [] };
  assert.deepEqual([...networkInput(network, [0, 0])], [0, 0]);
  assert.equal(networkInput(network, [51, 0])[0], 1);
});

test("probabilities add up to 1, whatever the logits", () => {
  assert.deepEqual(softmax(Float32Array.from([1000, 1000])), [0.5, 0.5]);
  assert.deepEqual(softmax(Float32Array.from([0, -Infinity])), [1, 0]);
});

test("of equal values the first is the largest", () => assert.equal(argmax([1, 3, 3]), 1));
