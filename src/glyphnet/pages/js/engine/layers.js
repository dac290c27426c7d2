// @ts-check
// The layers of a network: forward, and where they can be trained, backward. All work on batches of images whose values
// lie in the order (image, row, column, channel); weights have their outputs last, so that inner loops run along memory.

import { ACTIVATIONS, sigmoid } from "./activations.js";
/** @import { Memory, Slot } from "./memory.js" */
/** @import { Random } from "./random.js" */

/** Height, width and channels of one image. @typedef {[number, number, number]} Shape */
/**
 * A layer as a page or a model describes it: its type, and the fields that the class of this type reads. Weights are
 * Float32Arrays, or missing where a new layer draws them.
 * @typedef {{ type: string, [field: string]: any }} Description
 */
/**
 * What can be learned: `value` and its derivative. `inputs`: how many numbers flow into one output. Penalties and decay act
 * on weights alone, never on biases and norms.
 * @typedef {{ name: string, value: Slot, gradient: Slot, inputs: number, isWeight: boolean, given: ArrayLike<number> | null }}
 *   Parameter
 */
/**
 * How a batch goes through: while training, and with which random numbers. masks: what dropout multiplies by, in the order
 * of its layers, where it is not to be drawn.
 * @typedef {{ training: boolean, random: Random | null, masks?: Float32Array[] }} Pass
 */
/** Where layers live. @typedef {{ memory: Memory, batch: number, training: boolean }} Place */

/** @type {(shape: Shape) => number} */
export function sizeOf([height, width, channels]) {
  return height * width * channels;
}

/** What all layers have. */
export class Layer {
  /** @param {Place} place @param {Shape} shape of one input @param {Shape} output of one output */
  constructor({ memory, batch, training }, shape, output) {
    this.memory = memory;
    this.input = shape;
    this.shape = output;
    this.inputs = sizeOf(shape);
    this.outputs = sizeOf(output);
    /** @type {Parameter[]} */
    this.parameters = [];
    this.y = memory.reserve(batch * this.outputs);
    this.dx = memory.reserve(training ? batch * this.inputs : 0);
    this.training = training;
  }

  /**
   * @param {string} name @param {number} length @param {number} inputs @param {boolean} isWeight
   * @param {ArrayLike<number> | undefined} given @returns {Parameter}
   */
  parameter(name, length, inputs, isWeight, given) {
    const gradient = this.memory.reserve(this.training ? length : 0);
    const made = { name, value: this.memory.reserve(length), gradient, inputs, isWeight, given: given ?? null };
    this.parameters.push(made);
    return made;
  }

  /** Numbers that training changes without a gradient, by name. @returns {{ [name: string]: Slot }} */
  get buffers() {
    return {};
  }

  /** Put numbers where `parameter` could not: called once the memory is there. */
  start() {}

  /**
   * The outputs of `count` inputs.
   * @param {Float32Array} _x @param {number} _count @param {Pass} _pass @returns {Float32Array}
   */
  forward(_x, _count, _pass) {
    throw new Error(`${this.constructor.name} computes nothing`);
  }

  /**
   * Set the gradients of the parameters; returns that of the inputs, or nothing in particular where it is not wanted.
   * @param {Float32Array} _x @param {Float32Array} _dy @param {number} _count @param {boolean} _wanted
   * @returns {Float32Array}
   */
  backward(_x, _dy, _count, _wanted) {
    throw new Error(`A network with a layer of type ${this.constructor.name} cannot be trained in a page.`);
  }
}

/** Fully connected. `bias: null` leaves it out, as before a batch norm; then `outputs` must be given. */
class Dense extends Layer {
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

/** The bias in each row, or zeros. @type {(y: Float32Array, rows: number, width: number, bias: Parameter | null) => void} */
function fillRows(y, rows, width, bias) {
  if (bias === null) y.fill(0, 0, rows * width);
  else for (let row = 0; row < rows; row++) y.set(bias.value.values, row * width);
}

/** The sum of `count` rows. @type {(rows: Float32Array, count: number, sums: Float32Array) => void} */
function addRows(rows, count, sums) {
  sums.fill(0);
  const width = sums.length;
  for (let row = 0, at = 0; row < count; row++) {
    for (let column = 0; column < width; column++) sums[column] += rows[at++];
  }
}

/** @type {(from: Float32Array, rows: number, columns: number, to: Float32Array) => void} */
function transpose(from, rows, columns, to) {
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) to[column * rows + row] = from[at++];
  }
}

/** Square convolution. `bias` as in Dense. */
class Convolution extends Layer {
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

class MaxPool extends Layer {
  /** @param {Place} place @param {Shape} shape @param {Description} description */
  constructor(place, shape, { size }) {
    const [height, width, channels] = shape;
    super(place, shape, [Math.floor(height / size), Math.floor(width / size), channels]);
    this.size = size;
    this.largest = new Int32Array(place.batch * this.outputs); // where each output came from
  }

  /** @param {Float32Array} x @param {number} count */
  forward(x, count) {
    const { size, largest } = this;
    const [, width, channels] = this.input;
    const [tall, wide] = this.shape;
    const y = this.y.values;
    let at = 0;
    for (let image = 0; image < count; image++) {
      for (let row = 0; row < tall; row++) {
        for (let column = 0; column < wide; column++) {
          const corner = image * this.inputs + (row * size * width + column * size) * channels;
          for (let channel = 0; channel < channels; channel++, at++) {
            let best = corner + channel;
            for (let i = 0; i < size; i++) {
              for (let j = 0; j < size; j++) {
                const other = corner + (i * width + j) * channels + channel;
                if (x[other] > x[best]) best = other;
              }
            }
            y[at] = x[best];
            largest[at] = best;
          }
        }
      }
    }
    return y;
  }

  /** @param {Float32Array} _ @param {Float32Array} dy @param {number} count */
  backward(_, dy, count) {
    const dx = this.dx.values;
    dx.fill(0, 0, count * this.inputs);
    for (let at = 0; at < count * this.outputs; at++) dx[this.largest[at]] += dy[at];
    return dx;
  }
}

class MeanPixel extends Layer {
  /** @param {Place} place @param {Shape} shape */
  constructor(place, shape) {
    super(place, shape, [1, 1, shape[2]]);
  }

  /** @param {Float32Array} x @param {number} count */
  forward(x, count) {
    const { inputs, outputs } = this;
    const y = this.y.values;
    y.fill(0, 0, count * outputs);
    const share = outputs / inputs;
    for (let image = 0; image < count; image++) {
      const own = y.subarray(image * outputs, (image + 1) * outputs);
      addRows(x.subarray(image * inputs, (image + 1) * inputs), inputs / outputs, own);
      for (let channel = 0; channel < outputs; channel++) own[channel] *= share;
    }
    return y;
  }

  /** @param {Float32Array} _ @param {Float32Array} dy @param {number} count */
  backward(_, dy, count) {
    const { inputs, outputs } = this;
    const dx = this.dx.values;
    const share = outputs / inputs;
    for (let at = 0; at < count * inputs; at++) {
      dx[at] = share * dy[Math.floor(at / inputs) * outputs + at % outputs];
    }
    return dx;
  }
}

/** A layer whose outputs are its inputs in another shape. */
class Flatten extends Layer {
  /** @param {Place} place @param {Shape} shape */
  constructor({ memory }, shape) {
    super({ memory, batch: 0, training: false }, shape, [1, 1, sizeOf(shape)]);
  }

  /** @param {Float32Array} x */
  forward(x) {
    return x;
  }

  /** @param {Float32Array} _ @param {Float32Array} dy */
  backward(_, dy) {
    return dy;
  }
}

class Activation extends Layer {
  /** @param {Place} place @param {Shape} shape @param {Description} description */
  constructor(place, shape, { name }) {
    super(place, shape, shape);
    this.function = ACTIVATIONS[name];
    if (!this.function) throw new Error(`There is no activation ${name}; known: ${Object.keys(ACTIVATIONS)}.`);
    this.isRelu = name === "relu"; // the usual one: a loop of its own takes a quarter of the time
  }

  /** @param {Float32Array} x @param {number} count */
  forward(x, count) {
    const y = this.y.values;
    const end = count * this.inputs;
    const { value } = this.function;
    if (this.isRelu) { for (let at = 0; at < end; at++) y[at] = x[at] > 0 ? x[at] : 0; }
    else for (let at = 0; at < end; at++) y[at] = value(x[at]);
    return y;
  }

  /** @param {Float32Array} x @param {Float32Array} dy @param {number} count */
  backward(x, dy, count) {
    const dx = this.dx.values;
    const y = this.y.values;
    const end = count * this.inputs;
    const { slope } = this.function;
    if (this.isRelu) { for (let at = 0; at < end; at++) dx[at] = x[at] > 0 ? dy[at] : 0; }
    else for (let at = 0; at < end; at++) dx[at] = dy[at] * slope(x[at], y[at]);
    return dx;
  }
}

/** Each channel times its scale plus its shift: what is left of a batch norm after training. */
class Affine extends Layer {
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

const EPSILON = 1e-5; // PyTorch's, as is the share with which the running moments follow
const FOLLOWS = 0.1;

/** Batch normalisation (Ioffe and Szegedy, 2015). */
class BatchNorm extends Layer {
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

/** Dropout (Srivastava et al., 2014), scaled by 1/(1 - rate) while training. */
class Dropout extends Layer {
  /** @param {Place} place @param {Shape} shape @param {Description} description */
  constructor(place, shape, { rate }) {
    super(place, shape, shape);
    this.rate = rate;
    this.mask = new Float32Array(place.training ? place.batch * this.inputs : 0);
  }

  /** @param {Float32Array} x @param {number} count @param {Pass} pass */
  forward(x, count, { training, random, masks }) {
    if (!training) return x;
    const given = masks?.shift();
    const length = count * this.inputs;
    if (given) this.mask.set(given);
    else {
      const kept = 1 / (1 - this.rate);
      for (let at = 0; at < length; at++) this.mask[at] = random !== null && random.uniform() < this.rate ? 0 : kept;
    }
    const y = this.y.values;
    for (let at = 0; at < length; at++) y[at] = x[at] * this.mask[at];
    return y;
  }

  /** @param {Float32Array} _ @param {Float32Array} dy @param {number} count */
  backward(_, dy, count) {
    const dx = this.dx.values;
    for (let at = 0; at < count * this.inputs; at++) dx[at] = dy[at] * this.mask[at];
    return dx;
  }
}

/** Several layers, one after the other. */
export class Chain {
  /** @param {Place} place @param {Shape} shape @param {Description[]} descriptions */
  constructor(place, shape, descriptions) {
    this.input = shape;
    /** @type {Layer[]} */
    this.layers = [];
    for (const description of descriptions) {
      const Type = LAYERS[description.type];
      if (!Type) throw new Error(`There is no layer of type ${description.type}; known: ${Object.keys(LAYERS)}.`);
      const layer = new Type(place, shape, description);
      if (layer.outputs < 1) {
        throw new Error(
          `An image of ${shape.slice(0, 2).join("×")} is too small for a layer of type ${description.type}.`,
        );
      }
      this.layers.push(layer);
      shape = layer.shape;
    }
    this.shape = shape;
    this.first = this.layers.findIndex((layer) => layer.parameters.length > 0); // that learns
    /** @type {Float32Array[]} */
    this.seen = [];
  }

  /** @returns {Parameter[]} */
  get parameters() {
    return this.layers.flatMap((layer) => layer.parameters);
  }

  start() {
    for (const layer of this.layers) layer.start();
  }

  /**
   * The outputs of layer `to`, of inputs of layer `from`.
   * @param {Float32Array} x @param {number} count @param {Pass} pass @param {number} from @param {number} to
   */
  forward(x, count, pass, from = 0, to = this.layers.length) {
    for (let number = from; number < to; number++) {
      this.seen[number] = x;
      x = this.layers[number].forward(x, count, pass);
    }
    return x;
  }

  /** @param {Float32Array} dy @param {number} count @param {boolean} wanted whether the gradient of the input is */
  backward(dy, count, wanted) {
    const end = wanted ? 0 : this.first < 0 ? this.layers.length : this.first;
    for (let number = this.layers.length - 1; number >= end; number--) {
      dy = this.layers[number].backward(this.seen[number], dy, count, wanted || number > end);
    }
    return dy;
  }
}

/** The sum of two branches over the same image; an empty one is the identity. */
class Residual extends Layer {
  /** @param {Place} place @param {Shape} shape @param {Description} description */
  constructor(place, shape, { branch, shortcut }) {
    const parts = [branch, shortcut].map((layers) => new Chain(place, shape, layers));
    super(place, shape, parts[0].shape);
    this.parts = parts;
    this.parameters = parts.flatMap((part) => part.parameters);
  }

  start() {
    for (const part of this.parts) part.start();
  }

  /** @param {Float32Array} x @param {number} count @param {Pass} pass */
  forward(x, count, pass) {
    const y = this.y.values;
    const [branch, shortcut] = this.parts.map((part) => part.forward(x, count, pass));
    for (let at = 0; at < count * this.outputs; at++) y[at] = branch[at] + shortcut[at];
    return y;
  }

  /** @param {Float32Array} _ @param {Float32Array} dy @param {number} count */
  backward(_, dy, count) {
    const dx = this.dx.values;
    const [branch, shortcut] = this.parts.map((part) => part.backward(dy, count, true));
    for (let at = 0; at < count * this.inputs; at++) dx[at] = branch[at] + shortcut[at];
    return dx;
  }
}

/** Several chains over the same image, their outputs one after another: an ensemble. */
class SideBySide extends Layer {
  /** @param {Place} place @param {Shape} shape @param {Description} description */
  constructor(place, shape, { parts }) {
    /** @type {Chain[]} */
    const chains = parts.map((/** @type {Description[]} */ layers) => new Chain(place, shape, layers));
    super(place, shape, [1, 1, chains.reduce((sum, chain) => sum + sizeOf(chain.shape), 0)]);
    this.parts = chains;
    this.parameters = chains.flatMap((chain) => chain.parameters);
  }

  start() {
    for (const part of this.parts) part.start();
  }

  /** @param {Float32Array} x @param {number} count @param {Pass} pass */
  forward(x, count, pass) {
    const y = this.y.values;
    let before = 0;
    for (const part of this.parts) {
      const width = sizeOf(part.shape);
      const made = part.forward(x, count, pass);
      for (let image = 0; image < count; image++) {
        y.set(made.subarray(image * width, (image + 1) * width), image * this.outputs + before);
      }
      before += width;
    }
    return y;
  }
}

/** One direction of an LSTM. @typedef {{ inputs: Float32Array, states: Float32Array, bias: Float32Array }} Cell */

/** Stacked LSTMs over the rows of an image; the last state of the top one, directions one after the other. */
class Recurrent extends Layer {
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

/** Each type of layer by its name. @type {{ [type: string]: new (place: Place, shape: Shape, description: any) => Layer }} */
export const LAYERS = {
  dense: Dense,
  convolution: Convolution,
  maxPool: MaxPool,
  meanPixel: MeanPixel,
  flatten: Flatten,
  activation: Activation,
  affine: Affine,
  batchNorm: BatchNorm,
  dropout: Dropout,
  residual: Residual,
  sideBySide: SideBySide,
  recurrent: Recurrent,
};
