// @ts-check
// The layers that have nothing to learn.

import { ACTIVATIONS } from "./activations.js";
import { addRows, Layer, sizeOf } from "./layer.js";
/** @import { Description, Pass, Place, Shape } from "./layer.js" */

export class MaxPool extends Layer {
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

export class MeanPixel extends Layer {
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
export class Flatten extends Layer {
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

export class Activation extends Layer {
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

/** Dropout (Srivastava et al., 2014), scaled by 1/(1 - rate) while training. */
export class Dropout extends Layer {
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
