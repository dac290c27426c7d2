// @ts-check
// A scale and a shift for each channel: batch normalisation, and what is left of it after training.

import { addRows, Layer } from "./layer.js";
/** @import { Description, Pass, Place, Shape } from "./layer.js" */

/** Each channel times its scale plus its shift: what is left of a batch norm after training. */
export class Affine extends Layer {
  /** @param {Place} place @param {Shape} shape @param {Description} description */
  constructor(place, shape, { scale, shift }) {
    super(place, shape, shape);
    this.scale = this.parameter("scale", shape[2], 1, false, scale);
    this.shift = this.parameter("shift", shape[2], 1, false, shift);
  }

  /** @param {Float32Array} x @param {number} count */
  forward(x, count) {
    return scaled(x, count * this.inputs, this.scale.value.values, this.shift.value.values, this.y.values);
  }

  /** @param {Float32Array} x @param {Float32Array} dy @param {number} count */
  backward(x, dy, count) {
    const channels = this.shape[2];
    const rows = count * this.inputs / channels;
    addProducts(x, dy, rows, this.scale.gradient.values);
    addRows(dy, rows, this.shift.gradient.values);
    return scaled(dy, count * this.inputs, this.scale.value.values, null, this.dx.values);
  }
}

/**
 * y = x·scale + shift, channel by channel.
 * @type {(
 *   x: Float32Array, length: number, scale: ArrayLike<number>, shift: ArrayLike<number> | null, y: Float32Array,
 * ) => Float32Array}
 */
function scaled(x, length, scale, shift, y) {
  const channels = scale.length;
  for (let at = 0; at < length;) {
    for (let channel = 0; channel < channels; channel++, at++) {
      y[at] = x[at] * scale[channel] + (shift === null ? 0 : shift[channel]);
    }
  }
  return y;
}

/** Σ x·y by channel. @type {(x: Float32Array, y: Float32Array, rows: number, sums: Float32Array) => void} */
function addProducts(x, y, rows, sums) {
  const exact = new Float64Array(sums.length);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let channel = 0; channel < exact.length; channel++, at++) exact[channel] += x[at] * y[at];
  }
  sums.set(exact);
}

export const EPSILON = 1e-5; // PyTorch's, as is the share with which the running moments follow
const FOLLOWS = 0.1;

/** Batch normalisation (Ioffe and Szegedy, 2015). */
export class BatchNorm extends Layer {
  /** @param {Place} place @param {Shape} shape @param {Description} description */
  constructor(place, shape, { scale, shift, mean, variance }) {
    super(place, shape, shape);
    const channels = shape[2];
    this.scale = this.parameter("scale", channels, 0, false, scale ?? new Float32Array(channels).fill(1));
    this.shift = this.parameter("shift", channels, 0, false, shift ?? new Float32Array(channels));
    this.mean = this.memory.reserve(channels);
    this.variance = this.memory.reserve(channels);
    this.given = { mean: mean ?? new Float32Array(channels), variance: variance ?? new Float32Array(channels).fill(1) };
    this.normalised = this.memory.reserve(this.training ? place.batch * this.inputs : 0);
    this.inverse = new Float64Array(channels); // 1 over the spread of the last batch
  }

  get buffers() {
    return { mean: this.mean, variance: this.variance };
  }

  start() {
    this.mean.values.set(this.given.mean);
    this.variance.values.set(this.given.variance);
  }

  /** @param {Float32Array} x @param {number} count @param {Pass} pass */
  forward(x, count, { training }) {
    const channels = this.shape[2];
    const length = count * this.inputs;
    const scale = this.scale.value.values;
    const shift = this.shift.value.values;
    if (!training) {
      const factor = Float64Array.from(scale, (each, k) => each / Math.sqrt(this.variance.values[k] + EPSILON));
      const offset = Float64Array.from(shift, (each, k) => each - this.mean.values[k] * factor[k]);
      return scaled(x, length, factor, offset, this.y.values);
    }
    const rows = length / channels;
    const mean = new Float64Array(channels);
    const variance = new Float64Array(channels);
    for (let row = 0, at = 0; row < rows; row++) {
      for (let k = 0; k < channels; k++, at++) mean[k] += x[at];
    }
    for (let k = 0; k < channels; k++) mean[k] /= rows;
    for (let row = 0, at = 0; row < rows; row++) {
      for (let k = 0; k < channels; k++, at++) variance[k] += (x[at] - mean[k]) ** 2;
    }
    for (let k = 0; k < channels; k++) {
      this.mean.values[k] += FOLLOWS * (mean[k] - this.mean.values[k]);
      this.variance.values[k] += FOLLOWS * (variance[k] / Math.max(1, rows - 1) - this.variance.values[k]);
      this.inverse[k] = 1 / Math.sqrt(variance[k] / rows + EPSILON);
    }
    const offset = mean.map((each, k) => -each * this.inverse[k]);
    scaled(x, length, this.inverse, offset, this.normalised.values);
    return scaled(this.normalised.values, length, scale, shift, this.y.values);
  }

  /** @param {Float32Array} _ @param {Float32Array} dy @param {number} count */
  backward(_, dy, count) {
    const channels = this.shape[2];
    const rows = count * this.inputs / channels;
    const normalised = this.normalised.values;
    const dx = this.dx.values;
    addProducts(normalised, dy, rows, this.scale.gradient.values);
    addRows(dy, rows, this.shift.gradient.values);
    const alongScale = this.scale.gradient.values;
    const alongShift = this.shift.gradient.values;
    for (let row = 0, at = 0; row < rows; row++) {
      for (let k = 0; k < channels; k++, at++) {
        const own = dy[at] - (alongShift[k] + normalised[at] * alongScale[k]) / rows;
        dx[at] = this.scale.value.values[k] * this.inverse[k] * own;
      }
    }
    return dx;
  }
}
