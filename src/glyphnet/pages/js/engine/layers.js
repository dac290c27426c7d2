// @ts-check
// Each type of layer by its name, and the layers that are made of layers.

import { Layer, sizeOf } from "./layer.js";
import { Affine, BatchNorm } from "./norms.js";
import { Activation, Dropout, Flatten, MaxPool, MeanPixel } from "./plain.js";
import { Convolution, Dense } from "./products.js";
import { Recurrent } from "./recurrent.js";
/** @import { Description, Parameter, Pass, Place, Shape } from "./layer.js" */

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
