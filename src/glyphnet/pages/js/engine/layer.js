// @ts-check
// What every layer is: its place in the memory, its parameters, forward and backward. All layers work on batches of images
// whose values lie in the order (image, row, column, channel); weights have their outputs last, so that inner loops run
// along memory. The table of the types is in layers.js.

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

/** The sum of `count` rows. @type {(rows: Float32Array, count: number, sums: Float32Array) => void} */
export function addRows(rows, count, sums) {
  sums.fill(0);
  const width = sums.length;
  for (let row = 0, at = 0; row < count; row++) {
    for (let column = 0; column < width; column++) sums[column] += rows[at++];
  }
}
