// @ts-check
// A network: its layers in one memory, and what surrounds them, from pixels to probabilities.

import { sizeOf } from "./engine/layer.js";
import { Chain } from "./engine/layers.js";
import { Memory } from "./engine/memory.js";
import { Random } from "./engine/random.js";
/** @import { Description, Parameter, Pass, Shape } from "./engine/layer.js" */

/**
 * What is computed before the first layer: Preprocessing in glyphnet/nn/preprocessing.py.
 * @typedef {{ mode: "unit_range" | "standardize" | "unit_norm", mean: number[], std: number[] }} Preprocessing
 */
/**
 * What a network sees of an image, and how its answers are read.
 * @typedef {{ network: Network, preprocessing: Preprocessing, shape: Shape, temperature: number }} Reader
 */
/**
 * batch: the most images that go through at once; training: whether gradients are wanted; plain: without WebAssembly; seed:
 * of the weights that no description gives.
 * @typedef {{ batch?: number, training?: boolean, plain?: boolean, seed?: number }} Options
 */

/** @type {Pass} */
const INFERENCE = { training: false, random: null };

export class Network {
  /** @param {Shape} shape of an image @param {Description[]} layers @param {Options} options */
  constructor(shape, layers, { batch = 1, training = false, plain = false, seed = 0 } = {}) {
    this.layers = layers;
    this.batch = batch;
    this.training = training;
    this.memory = new Memory({ plain });
    this.chain = new Chain({ memory: this.memory, batch, training }, shape, layers);
    this.shape = shape;
    this.classes = sizeOf(this.chain.shape);
    this.input = this.memory.reserve(batch * sizeOf(shape));
    this.dLogits = this.memory.reserve(training ? batch * this.classes : 0);
    this.memory.commit();
    const random = new Random(seed);
    for (const parameter of this.parameters) draw(parameter, random);
    this.chain.start();
  }

  /** All that can be learned, from the input to the output. @returns {Parameter[]} */
  get parameters() {
    return this.chain.parameters;
  }

  /** The layers with their present weights, as another network can be made of them. @returns {Description[]} */
  described() {
    return this.layers.map((description, number) => {
      const layer = this.chain.layers[number];
      const own = { ...description };
      for (const { name, value } of layer.parameters) own[name] = value.values.slice();
      for (const [name, { values }] of Object.entries(layer.buffers)) own[name] = values.slice();
      if (layer.parameters.length && description.type !== "batchNorm") own.outputs = layer.shape[2];
      return own;
    });
  }

  /**
   * The outputs of layers `from` up to `to` for `count` images, at most `batch`; they are valid until the next call.
   * @param {ArrayLike<number>} x @param {number} count @param {Pass} pass @param {number} [from] @param {number} [to]
   */
  forward(x, count = 1, pass = INFERENCE, from = 0, to = undefined) {
    if (count > this.batch) throw new Error(`${count} images were given to a network for at most ${this.batch}.`);
    let values = /** @type {Float32Array} */ (x);
    if (values.buffer !== this.input.values.buffer) { // the products need it in the memory
      if (from > 0) values = Float32Array.from(x);
      else {
        this.input.values.set(x);
        values = this.input.values;
      }
    }
    const made = this.chain.forward(values, count, pass, from, to);
    const last = this.chain.layers[(to ?? this.chain.layers.length) - 1];
    return made.subarray(0, count * (last?.outputs ?? sizeOf(this.shape)));
  }

  /**
   * Set the gradients of all parameters from those of the outputs of the last call of `forward`.
   * @param {Float32Array} dLogits @param {number} count
   */
  backward(dLogits, count) {
    this.dLogits.values.set(dLogits.subarray(0, count * this.classes));
    this.chain.backward(this.dLogits.values, count, false);
  }
}

/**
 * Fill a parameter: with what was given, or at random between ±1/√inputs, as PyTorch does by itself.
 * @type {(parameter: Parameter, random: Random) => void}
 */
function draw({ name, value: { values }, inputs, given }, random) {
  if (given !== null && given.length !== values.length) {
    throw new Error(`A ${name} of ${values.length} numbers is needed, and ${given.length} were given.`);
  }
  if (given !== null) values.set(given);
  else for (let at = 0; at < values.length; at++) values[at] = (2 * random.uniform() - 1) / Math.sqrt(inputs);
}

/**
 * Scale and normalise the pixels of an image, 0 to 255, into `values`.
 * @type {(preprocessing: Preprocessing, channels: number, pixels: ArrayLike<number>, values: Float32Array) => Float32Array}
 */
export function preprocess({ mode, mean, std }, channels, pixels, values) {
  for (let i = 0; i < values.length; i++) values[i] = pixels[i] / 255;
  if (mode === "standardize") {
    for (let i = 0; i < values.length; i++) values[i] = (values[i] - mean[i % channels]) / std[i % channels];
  }
  if (mode === "unit_norm") {
    const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    if (norm > 0) { for (let i = 0; i < values.length; i++) values[i] /= norm; }
  }
  return values;
}

/** What the network sees of pixels, 0 to 255. @type {(reader: Reader, pixels: ArrayLike<number>) => Float32Array} */
export function networkInput({ preprocessing, shape }, pixels) {
  return preprocess(preprocessing, shape[2], pixels, new Float32Array(sizeOf(shape)));
}

/**
 * Logits divided by the temperature, for pixels in the order (row, column, channel).
 * @type {(reader: Reader, pixels: ArrayLike<number>) => Float32Array}
 */
export function scores(reader, pixels) {
  return reader.network.forward(networkInput(reader, pixels)).map((logit) => logit / reader.temperature);
}

/** @type {(values: ArrayLike<number>) => number[]} */
export function softmax(values) {
  let highest = -Infinity;
  for (let i = 0; i < values.length; i++) highest = Math.max(highest, values[i]);
  const powers = Array.from(values, (value) => Math.exp(value - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** @type {(values: ArrayLike<number>) => number} */
export function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
