// @ts-check
// The layers that multiply by a matrix of weights, in WebAssembly where there is any (memory.js).

import { addRows, Layer } from "./layer.js";
/** @import { Description, Parameter, Place, Shape } from "./layer.js" */

/** Fully connected. `bias: null` leaves it out, as before a batch norm; then `outputs` must be given. */
export class Dense extends Layer {
  /** @param {Place} place @param {Shape} shape @param {Description} description */
  constructor(place, shape, { outputs, weight, bias }) {
    super(place, shape, [1, 1, bias?.length ?? outputs]);
    const values = this.inputs * this.outputs;
    this.weight = this.parameter("weight", values, this.inputs, true, weight);
    this.bias = bias === null ? null : this.parameter("bias", this.outputs, this.inputs, false, bias);
    this.turned = this.memory.reserve(this.training ? values : 0);
  }

  /** @param {Float32Array} x @param {number} count */
  forward(x, count) {
    const { inputs, outputs, weight, bias } = this;
    const y = this.y.values;
    fillRows(y, count, outputs, bias);
    this.memory.addProduct(x, inputs, 1, weight.value.values, y, count, inputs, outputs);
    return y;
  }

  /** @param {Float32Array} x @param {Float32Array} dy @param {number} count @param {boolean} wanted */
  backward(x, dy, count, wanted) {
    const { inputs, outputs, weight, bias } = this;
    weight.gradient.values.fill(0);
    this.memory.addProduct(x, 1, inputs, dy, weight.gradient.values, inputs, count, outputs);
    if (bias !== null) addRows(dy, count, bias.gradient.values);
    const dx = this.dx.values;
    if (wanted) {
      transpose(weight.value.values, inputs, outputs, this.turned.values);
      dx.fill(0, 0, count * inputs);
      this.memory.addProduct(dy, outputs, 1, this.turned.values, dx, count, outputs, inputs);
    }
    return dx;
  }
}

/** Square convolution. `bias` as in Dense. */
export class Convolution extends Layer {
  /** @param {Place} place @param {Shape} shape @param {Description} description */
  constructor(place, shape, { kernel, stride = 1, padding = 0, outputs, weight, bias }) {
    const [height, width, channels] = shape;
    /** @type {(side: number) => number} */
    const after = (side) => Math.floor((side + 2 * padding - kernel) / stride) + 1;
    super(place, shape, [after(height), after(width), bias?.length ?? outputs]);
    this.kernel = kernel;
    this.stride = stride;
    this.padding = padding;
    this.under = kernel * kernel * channels; // values under the window
    this.pixels = this.shape[0] * this.shape[1];
    this.channels = this.shape[2];
    const values = this.under * this.channels;
    this.weight = this.parameter("weight", values, this.under, true, weight);
    this.bias = bias === null ? null : this.parameter("bias", this.channels, this.under, false, bias);
    this.windows = this.memory.reserve(this.pixels * this.under); // of one image, so that they stay in the cache
    this.dWindows = this.memory.reserve(this.training ? this.pixels * this.under : 0);
    this.turned = this.memory.reserve(this.training ? values : 0);
  }

  /**
   * Go through the windows of one image: for each row of each window, the place of its first value there, its place in
   * the image, and how many values lie in both.
   * @param {(inWindow: number, inImage: number, count: number) => void} each
   */
  along(each) {
    const [height, width, channels] = this.input;
    const [tall, wide] = this.shape;
    const { kernel, stride, padding } = this;
    for (let row = 0; row < tall; row++) {
      for (let i = 0; i < kernel; i++) {
        const from = row * stride - padding + i;
        if (from < 0 || from >= height) continue;
        for (let column = 0; column < wide; column++) {
          const left = column * stride - padding;
          const first = Math.max(0, -left);
          const count = Math.min(kernel, width - left) - first;
          const window = ((row * wide + column) * kernel + i) * kernel + first;
          if (count > 0) each(window * channels, (from * width + left + first) * channels, count * channels);
        }
      }
    }
  }

  /** What lies under the window at each of its places, beyond the border zeros. @param {Float32Array} x */
  look(x) {
    const { kernel, stride, padding } = this;
    if (kernel === 1 && stride === 1 && padding === 0) return x;
    const windows = this.windows.values;
    this.along((to, from, count) => {
      for (let k = 0; k < count; k++) windows[to + k] = x[from + k];
    });
    return windows;
  }

  /** @param {Float32Array} x @param {number} count */
  forward(x, count) {
    const { under, pixels, channels } = this;
    const y = this.y.values;
    fillRows(y, count * pixels, channels, this.bias);
    for (let image = 0; image < count; image++) {
      const windows = this.look(x.subarray(image * this.inputs, (image + 1) * this.inputs));
      const made = y.subarray(image * this.outputs);
      this.memory.addProduct(windows, under, 1, this.weight.value.values, made, pixels, under, channels);
    }
    return y;
  }

  /** @param {Float32Array} x @param {Float32Array} dy @param {number} count @param {boolean} wanted */
  backward(x, dy, count, wanted) {
    const { under, pixels, channels, weight } = this;
    const dx = this.dx.values;
    const dWindows = this.dWindows.values;
    weight.gradient.values.fill(0);
    if (this.bias !== null) addRows(dy, count * pixels, this.bias.gradient.values);
    if (wanted) {
      dx.fill(0, 0, count * this.inputs);
      transpose(weight.value.values, under, channels, this.turned.values);
    }
    for (let image = 0; image < count; image++) {
      const own = dy.subarray(image * this.outputs);
      const windows = this.look(x.subarray(image * this.inputs, (image + 1) * this.inputs));
      this.memory.addProduct(windows, 1, under, own, weight.gradient.values, under, pixels, channels);
      if (!wanted) continue;
      dWindows.fill(0);
      this.memory.addProduct(own, channels, 1, this.turned.values, dWindows, pixels, channels, under);
      const at = image * this.inputs;
      this.along((from, to, number) => {
        for (let k = 0; k < number; k++) dx[at + to + k] += dWindows[from + k];
      });
    }
    return dx;
  }
}

/** The bias in each row, or zeros. @type {(y: Float32Array, rows: number, width: number, bias: Parameter | null) => void} */
function fillRows(y, rows, width, bias) {
  if (bias === null) y.fill(0, 0, rows * width);
  else for (let row = 0; row < rows; row++) y.set(bias.value.values, row * width);
}

/** @type {(from: Float32Array, rows: number, columns: number, to: Float32Array) => void} */
function transpose(from, rows, columns, to) {
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) to[column * rows + row] = from[at++];
  }
}
