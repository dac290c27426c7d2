// @ts-check
// Training: losses, penalties, optimizers and the step. The formulas are those of glyphnet/training.

import { argmax } from "../network.js";
import { sigmoid } from "./activations.js";
import { Random } from "./random.js";
/** @import { Network } from "../network.js" */
/** @import { Parameter } from "./layer.js" */

/**
 * How a step learns. rate: the learning rate; momentum: for sgd; weight_decay: for adam, decoupled (AdamW); l1, l2: penalties
 * on the weights, l1·Σ|w| + l2·½Σw².
 * @typedef {{
 *   loss?: "cross_entropy" | "binary_cross_entropy", optimizer?: "sgd" | "adam", rate: number, momentum?: number,
 *   weight_decay?: number, l1?: number, l2?: number, seed?: number,
 * }} Settings
 */
/** The mean loss of a batch, without penalties, and how many of its images were answered right. @typedef {{ loss: number, right: number }} Result */
/**
 * A loss: from the logits of one image and its label to its value; `gradient` gets the derivatives by the logits.
 * @typedef {(logits: Float32Array, label: number, gradient: Float32Array) => number} Loss
 */

/** @type {{ [name: string]: Loss }} */
export const LOSSES = {
  /** -log softmax(z)[label]: one class is right, the others are not. */
  cross_entropy(logits, label, gradient) {
    let highest = -Infinity;
    for (const logit of logits) if (logit > highest) highest = logit;
    let total = 0;
    for (let k = 0; k < logits.length; k++) total += gradient[k] = Math.exp(logits[k] - highest);
    for (let k = 0; k < logits.length; k++) gradient[k] /= total;
    gradient[label] -= 1;
    return Math.log(total) + highest - logits[label];
  },
  /** -Σ t·log σ(z) + (1 - t)·log(1 - σ(z)): each output is its own yes or no. A single output says whether it is class 1. */
  binary_cross_entropy(logits, label, gradient) {
    let loss = 0;
    for (let k = 0; k < logits.length; k++) {
      const z = logits[k];
      const target = (logits.length === 1 ? label === 1 : label === k) ? 1 : 0;
      loss += Math.max(z, 0) - z * target + Math.log1p(Math.exp(-Math.abs(z)));
      gradient[k] = sigmoid(z) - target;
    }
    return loss;
  },
};

/** Which class the logits of one image name. @type {(logits: Float32Array) => number} */
export function labelOf(logits) {
  return logits.length === 1 ? Number(logits[0] > 0) : argmax(logits);
}

/** What an optimizer remembers: arrays of all parameters, one behind the other by kind, and its steps. @typedef {{ arrays: Float32Array[], steps: number }} Memory */

/** Stochastic gradient descent with momentum, as torch.optim.SGD. */
class SGD {
  /** @param {Parameter[]} parameters */
  constructor(parameters) {
    this.parameters = parameters;
    this.last = parameters.map(({ value }) => new Float32Array(value.values.length));
  }

  /** @returns {Memory} */
  get memory() {
    return { arrays: this.last, steps: 0 };
  }

  set memory({ arrays }) {
    copied(this.last, arrays);
  }

  /** @param {Settings} settings */
  step({ rate, momentum = 0 }) {
    this.parameters.forEach(({ value: { values }, gradient: { values: gradient } }, number) => {
      const last = this.last[number];
      for (let i = 0; i < values.length; i++) values[i] -= rate * (last[i] = momentum * last[i] + gradient[i]);
    });
  }
}

/** Adam (Kingma and Ba, 2015), as torch.optim.Adam; with weight_decay AdamW (Loshchilov and Hutter, 2019). */
class Adam {
  /** @param {Parameter[]} parameters */
  constructor(parameters) {
    this.parameters = parameters;
    this.means = parameters.map(({ value }) => new Float32Array(value.values.length));
    this.squares = parameters.map(({ value }) => new Float32Array(value.values.length));
    this.steps = 0;
  }

  /** @returns {Memory} */
  get memory() {
    return { arrays: [...this.means, ...this.squares], steps: this.steps };
  }

  set memory({ arrays, steps }) {
    copied([...this.means, ...this.squares], arrays);
    this.steps = steps;
  }

  /** @param {Settings} settings */
  step({ rate, weight_decay = 0 }) {
    this.steps++;
    const length = rate / (1 - 0.9 ** this.steps);
    const spread = 1 / Math.sqrt(1 - 0.999 ** this.steps);
    this.parameters.forEach(({ value: { values }, gradient: { values: gradient }, isWeight }, number) => {
      const means = this.means[number];
      const squares = this.squares[number];
      const kept = isWeight ? 1 - rate * weight_decay : 1;
      for (let i = 0; i < values.length; i++) {
        const own = gradient[i];
        const mean = means[i] += 0.1 * (own - means[i]);
        const square = squares[i] = 0.999 * squares[i] + 0.001 * own * own;
        values[i] = kept * values[i] - length * mean / (Math.sqrt(square) * spread + 1e-8);
      }
    });
  }
}

/** @type {(own: Float32Array[], kept: Float32Array[]) => void} */
function copied(own, kept) {
  if (own.length !== kept.length || own.some(({ length }, number) => length !== kept[number].length)) {
    throw new Error("What the optimizer remembers is of another network.");
  }
  own.forEach((values, number) => values.set(kept[number]));
}

/** @type {{ [name: string]: new (parameters: Parameter[]) => { step: (settings: Settings) => void, memory: Memory } }} */
export const OPTIMIZERS = { sgd: SGD, adam: Adam };

/** One training of one network, step by step; `settings` may be changed between two steps. */
export class Training {
  /** @param {Network} network @param {Settings} settings */
  constructor(network, settings) {
    if (!network.training) throw new Error("The network was made for inference: make it with { training: true }.");
    this.network = network;
    this.settings = settings;
    this.random = new Random(settings.seed ?? 0);
    this.optimizer = new (named(OPTIMIZERS, "optimizer", settings.optimizer ?? "adam"))(network.parameters);
    this.loss = named(LOSSES, "loss", settings.loss ?? "cross_entropy");
    this.gradient = new Float32Array(network.batch * network.classes);
  }

  /** All that the next steps depend on beside the weights: to go on later as if there had been no break. @returns {Memory & { random: number[] }} */
  get state() {
    const { arrays, steps } = this.optimizer.memory;
    return { arrays: arrays.map((each) => each.slice()), steps, random: [...this.random.state] };
  }

  set state({ arrays, steps, random }) {
    this.optimizer.memory = { arrays, steps };
    this.random.state = /** @type {[number, number, number, number]} */ ([...random]);
  }

  /**
   * Compute the gradients of a batch, and change the weights by them.
   * @param {ArrayLike<number>} x what the network sees @param {ArrayLike<number>} labels
   * @param {Float32Array[]} [masks] of dropout, where they are not to be drawn @returns {Result}
   */
  step(x, labels, masks) {
    const result = this.gradients(x, labels, masks);
    this.optimizer.step(this.settings);
    return result;
  }

  /** @param {ArrayLike<number>} x @param {ArrayLike<number>} labels @param {Float32Array[]} [masks] @returns {Result} */
  gradients(x, labels, masks) {
    const count = labels.length;
    const logits = this.network.forward(x, count, { training: true, random: this.random, masks });
    const classes = this.network.classes;
    let [loss, right] = [0, 0];
    for (let image = 0; image < count; image++) {
      const own = logits.subarray(image * classes, (image + 1) * classes);
      loss += this.loss(own, labels[image], this.gradient.subarray(image * classes, (image + 1) * classes));
      right += labelOf(own) === labels[image] ? 1 : 0;
    }
    for (let i = 0; i < count * classes; i++) this.gradient[i] /= count;
    this.network.backward(this.gradient, count);
    this.penalise();
    return { loss: loss / count, right };
  }

  penalise() {
    const { l1 = 0, l2 = 0 } = this.settings;
    if (!l1 && !l2) return;
    for (const { value: { values }, gradient: { values: gradient }, isWeight } of this.network.parameters) {
      if (!isWeight) continue;
      for (let i = 0; i < values.length; i++) gradient[i] += l1 * Math.sign(values[i]) + l2 * values[i];
    }
  }
}

/** @template Row @type {<Row>(table: { [name: string]: Row }, what: string, name: string) => Row} */
function named(table, what, name) {
  if (!(name in table)) throw new Error(`There is no ${what} ${name}; known: ${Object.keys(table).join(", ")}.`);
  return table[name];
}
