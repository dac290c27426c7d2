// @ts-check
// Inference, layer by layer. Weights have their outputs last, so that every inner loop runs along memory.

/** @import { Shape } from "./ink.js" */

/**
 * A picture; its values are in the order (row, column, channel).
 * @typedef {{ height: number, width: number, channels: number, values: Float32Array }} Image
 */
/**
 * A layer: its type, and the fields that the function of this type takes.
 * @typedef {{ type: string, [field: string]: any }} Layer
 */
/**
 * What is computed before the first layer: Preprocessing in glyphnet/nn/preprocessing.py.
 * @typedef {{ mode: "unit_range" | "standardize" | "unit_norm", mean: number[], std: number[] }} Preprocessing
 */
/**
 * A network, and its input.
 * @typedef {{ layers: Layer[], preprocessing: Preprocessing, shape: Shape, temperature: number }} Network
 */
/** One direction of an LSTM. @typedef {{ inputs: Float32Array, states: Float32Array, bias: Float32Array }} Cell */

/** @type {(height: number, width: number, channels: number, values?: Float32Array) => Image} */
function image(height, width, channels, values = new Float32Array(height * width * channels)) {
  return { height, width, channels, values };
}

/** @type {(length: number, window: { kernel: number, stride: number, padding: number }) => number} */
function side(length, { kernel, stride, padding }) {
  return Math.floor((length + 2 * padding - kernel) / stride) + 1;
}

/**
 * @type {(
 *   layer: { kernel: number, stride: number, padding: number, weight: Float32Array, bias: Float32Array }, x: Image,
 * ) => Image}
 */
function convolution(layer, x) {
  const { kernel, stride, padding, weight, bias } = layer;
  const outputs = bias.length;
  const y = image(side(x.height, layer), side(x.width, layer), outputs);
  const sums = new Float32Array(outputs);
  for (let row = 0; row < y.height; row++) {
    for (let column = 0; column < y.width; column++) {
      sums.set(bias);
      for (let i = 0; i < kernel; i++) {
        const from = row * stride - padding + i;
        if (from < 0 || from >= x.height) continue;
        for (let j = 0; j < kernel; j++) {
          const across = column * stride - padding + j;
          if (across < 0 || across >= x.width) continue;
          addMatrixProduct(
            sums,
            x.values,
            (from * x.width + across) * x.channels,
            x.channels,
            weight,
            (i * kernel + j) * x.channels * outputs,
          );
        }
      }
      y.values.set(sums, (row * y.width + column) * outputs);
    }
  }
  return y;
}

/**
 * Add `count` inputs times their rows of the weights to the sums; zeros, half of what a ReLU gives, are skipped.
 * @type {(
 *   sums: Float32Array, inputs: Float32Array, start: number, count: number, weight: Float32Array, at: number,
 * ) => void}
 */
function addMatrixProduct(sums, inputs, start, count, weight, at) {
  const outputs = sums.length;
  for (let k = 0; k < count; k++, at += outputs) {
    const value = inputs[start + k];
    if (value === 0) continue;
    for (let o = 0; o < outputs; o++) sums[o] += value * weight[at + o];
  }
}

/** @type {(layer: { weight: Float32Array, bias: Float32Array }, x: Image) => Image} */
function dense({ weight, bias }, x) {
  const sums = Float32Array.from(bias);
  addMatrixProduct(sums, x.values, 0, x.values.length, weight, 0);
  return image(1, 1, sums.length, sums);
}

/** @type {(layer: { scale: Float32Array, shift: Float32Array }, x: Image) => Image} */
function affine({ scale, shift }, x) {
  return { ...x, values: x.values.map((value, i) => value * scale[i % x.channels] + shift[i % x.channels]) };
}

/** @type {(layer: { size: number }, x: Image) => Image} */
function maxPool({ size }, x) {
  const y = image(Math.floor(x.height / size), Math.floor(x.width / size), x.channels);
  y.values.fill(-Infinity);
  for (let row = 0; row < y.height * size; row++) {
    for (let column = 0; column < y.width * size; column++) {
      const from = (row * x.width + column) * x.channels;
      const to = (Math.floor(row / size) * y.width + Math.floor(column / size)) * x.channels;
      for (let c = 0; c < x.channels; c++) {
        if (x.values[from + c] > y.values[to + c]) y.values[to + c] = x.values[from + c];
      }
    }
  }
  return y;
}

/** @type {(layer: unknown, x: Image) => Image} */
function meanPixel(_, x) {
  const sums = new Float64Array(x.channels);
  x.values.forEach((value, i) => (sums[i % x.channels] += value));
  return image(1, 1, x.channels, Float32Array.from(sums, (sum) => sum / (x.height * x.width)));
}

/** @type {(layer: unknown, x: Image) => Image} */
function flatten(_, x) {
  return image(1, 1, x.values.length, x.values);
}

/** @type {(layer: { branch: Layer[], shortcut: Layer[] }, x: Image) => Image} */
function residual({ branch, shortcut }, x) {
  const y = forward(branch, x);
  const straight = forward(shortcut, x).values;
  return { ...y, values: y.values.map((value, i) => value + straight[i]) };
}

/**
 * Run one LSTM over a sequence of rows, from the last to the first if `upwards`. Returns its states in the order of the
 * rows.
 * @type {(cell: Cell, rows: Float32Array[], upwards: boolean) => Float32Array[]}
 */
function lstm({ inputs, states, bias }, rows, upwards) {
  const hidden = bias.length / 4;
  const order = [...rows.keys()];
  if (upwards) order.reverse();
  /** @type {Float32Array[]} */
  const result = [];
  let state = new Float32Array(hidden);
  const cell = new Float64Array(hidden);
  for (const row of order) {
    const gates = Float32Array.from(bias);
    addMatrixProduct(gates, rows[row], 0, rows[row].length, inputs, 0);
    addMatrixProduct(gates, state, 0, hidden, states, 0);
    state = new Float32Array(hidden);
    for (let h = 0; h < hidden; h++) {
      const kept = sigmoid(gates[hidden + h]) * cell[h];
      cell[h] = kept + sigmoid(gates[h]) * Math.tanh(gates[2 * hidden + h]);
      state[h] = sigmoid(gates[3 * hidden + h]) * Math.tanh(cell[h]);
    }
    result[row] = state;
  }
  return result;
}

/** @type {(parts: Float32Array[]) => Float32Array} */
function concatenated(parts) {
  const result = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** @type {(layer: { parts: Layer[][] }, x: Image) => Image} */
function sideBySide({ parts }, x) {
  const vector = concatenated(parts.map((part) => forward(part, x).values));
  return image(1, 1, vector.length, vector);
}

/** @type {(layer: { levels: Cell[][] }, x: Image) => Image} */
function recurrent({ levels }, x) {
  const width = x.width * x.channels;
  let rows = Array.from({ length: x.height }, (_, row) => x.values.subarray(row * width, (row + 1) * width));
  /** @type {Float32Array} */
  let last = new Float32Array(0);
  for (const level of levels) {
    const readings = level.map((one, direction) => lstm(one, rows, direction === 1));
    last = concatenated(readings.map((states, direction) => states[direction === 1 ? 0 : rows.length - 1]));
    rows = rows.map((_, row) => concatenated(readings.map((states) => states[row])));
  }
  return image(1, 1, last.length, last);
}

/** @type {(x: number) => number} */
function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

/**
 * The error function to 1.2e-7: Numerical Recipes, §6.2, a Chebyshev fit.
 * @type {(x: number) => number}
 */
function erf(x) {
  const t = 1 / (1 + 0.5 * Math.abs(x));
  const fit = [
    1.00002368,
    0.37409196,
    0.09678418,
    -0.18628806,
    0.27886807,
    -1.13520398,
    1.48851587,
    -0.82215223,
    0.17087277,
  ];
  const sum = fit.reduceRight((total, coefficient) => total * t + coefficient, 0);
  const tail = t * Math.exp(-x * x - 1.26551223 + t * sum);
  return x >= 0 ? 1 - tail : tail - 1;
}

/** @type {{ [name: string]: (x: number) => number }} */
const ACTIVATIONS = {
  relu: (x) => (x > 0 ? x : 0),
  tanh: Math.tanh,
  sigmoid,
  gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  silu: (x) => x * sigmoid(x),
  leaky_relu: (x) => (x > 0 ? x : 0.01 * x),
};

/** @type {(layer: { name: string }, x: Image) => Image} */
function activation({ name }, x) {
  const apply = ACTIVATIONS[name];
  for (let i = 0; i < x.values.length; i++) x.values[i] = apply(x.values[i]);
  return x;
}

/** @type {{ [type: string]: (layer: any, x: Image) => Image }} */
const LAYERS = { convolution, dense, affine, maxPool, meanPixel, flatten, activation, residual, sideBySide, recurrent };

/** @type {(layers: Layer[], x: Image) => Image} */
export function forward(layers, x) {
  return layers.reduce((y, layer) => LAYERS[layer.type](layer, y), x);
}

/**
 * Scale and normalise pixels, 0 to 255.
 * @type {(network: Network, pixels: ArrayLike<number>) => Image}
 */
export function networkInput({ preprocessing, shape: [height, width, channels] }, pixels) {
  const values = Float32Array.from(pixels, (pixel) => pixel / 255);
  const { mode, mean, std } = preprocessing;
  if (mode === "standardize") {
    values.forEach((value, i) => (values[i] = (value - mean[i % channels]) / std[i % channels]));
  }
  if (mode === "unit_norm") {
    const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    if (norm > 0) values.forEach((value, i) => (values[i] = value / norm));
  }
  return image(height, width, channels, values);
}

/**
 * Logits divided by the temperature, for pixels in the order (row, column, channel).
 * @type {(network: Network, pixels: ArrayLike<number>) => Float32Array}
 */
export function scores(model, pixels) {
  return forward(model.layers, networkInput(model, pixels)).values.map((logit) => logit / model.temperature);
}

/** @type {(values: Float32Array) => number[]} */
export function softmax(values) {
  const highest = values.reduce((most, value) => Math.max(most, value), -Infinity);
  const powers = Array.from(values, (value) => Math.exp(value - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** @type {(values: number[]) => number} */
export function argmax(values) {
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
}
