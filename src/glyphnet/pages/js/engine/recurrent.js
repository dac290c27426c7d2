// @ts-check
// LSTMs (Hochreiter and Schmidhuber, 1997) that read an image row by row; they cannot be trained in a page.

import { sigmoid } from "./activations.js";
import { Layer } from "./layer.js";
/** @import { Description, Place, Shape } from "./layer.js" */

/** One direction of an LSTM. @typedef {{ inputs: Float32Array, states: Float32Array, bias: Float32Array }} Cell */

/** Stacked LSTMs over the rows of an image; the last state of the top one, directions one after the other. */
export class Recurrent extends Layer {
  /** @param {Place} place @param {Shape} shape @param {Description} description */
  constructor(place, shape, { levels }) {
    const top = levels[levels.length - 1];
    super(place, shape, [
      1,
      1,
      top.reduce((/** @type {number} */ sum, /** @type {Cell} */ one) => sum + one.bias.length / 4, 0),
    ]);
    /** @type {Cell[][]} */
    this.levels = levels;
  }

  /** @param {Float32Array} x @param {number} count */
  forward(x, count) {
    for (let image = 0; image < count; image++) {
      this.y.values.set(this.read(x.subarray(image * this.inputs, (image + 1) * this.inputs)), image * this.outputs);
    }
    return this.y.values;
  }

  /** @param {Float32Array} x */
  read(x) {
    const width = this.input[1] * this.input[2];
    let rows = Array.from({ length: this.input[0] }, (_, row) => x.subarray(row * width, (row + 1) * width));
    /** @type {Float32Array} */
    let last = new Float32Array(0);
    for (const level of this.levels) {
      const readings = level.map((one, direction) => lstm(one, rows, direction === 1));
      last = concatenated(readings.map((states, direction) => states[direction === 1 ? 0 : rows.length - 1]));
      rows = rows.map((_, row) => concatenated(readings.map((states) => states[row])));
    }
    return last;
  }
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
    addVectorProduct(gates, rows[row], inputs);
    addVectorProduct(gates, state, states);
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

/** sums += x·W. @type {(sums: Float32Array, x: Float32Array, weight: Float32Array) => void} */
function addVectorProduct(sums, x, weight) {
  for (let k = 0, at = 0; k < x.length; k++) {
    for (let o = 0; o < sums.length; o++) sums[o] += x[k] * weight[at++];
  }
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
