// @ts-check
// A training of the page's own engine, step by step, with all that it takes to go on after a break as if there had been none.

import { LOSSES, Training } from "../engine/training.js";
import { Random } from "../engine/random.js";
import { argmax, Network, softmax } from "../network.js";
import { changedCopy } from "./augment.js";
import { BATCH, changeFor, DECAY, layersFor, lengthOf, PRESETS, RATE } from "./recipe.js";
/** @import { Description, Shape } from "../engine/layer.js" */

/** Pictures, their values one after the other, and their labels. @typedef {{ x: Uint8Array, labels: Uint8Array }} Part */
/**
 * All that a training depends on beside its weights. images: that it has seen; elapsed: seconds; order, at: the pictures of
 * this round, and how many of them it has seen; sum: of the epoch so far; random, training: of the pictures, and of the rest.
 * @typedef {{
 *   images: number, elapsed: number, order: Uint32Array, at: number, sum: { loss: number, right: number, count: number },
 *   reported: number, random: number[], training: { arrays: Float32Array[], steps: number, random: number[] },
 * }} SessionState
 */
/**
 * seconds: how long to train, where not as long as the preset says; given: the test pictures as they were, where making
 * them alike has changed something; layers, state: of a training that is resumed; state is null where it begins again with
 * the weights that it had, as a training of an older page does.
 * @typedef {{
 *   kind: string, shape: Shape, classes: number, preset: string, seconds: number | null, seed: number, train: Part, test: Part,
 *   given: (Uint8Array | null)[], layers: Description[] | null, state: SessionState | null,
 * }} Task
 */
/**
 * answers: the label that each test picture got; sure: how probable it was.
 * @typedef {{
 *   type: "epoch", epoch: number, epochs: number | null, share: number, loss: number, accuracy: number, valLoss: number | null,
 *   valAccuracy: number | null, speed: number, left: number, state: SessionState, confusion: number[][] | null, answers: number[],
 *   sure: number[], filters: Float32Array, layers: Description[],
 * }} EpochMessage
 */

export const AT_ONCE = 128; // pictures that are asked at once

/** One training, step by step; it can be broken off after any of them, and another session goes on to the same bits. */
export class Session {
  /** @param {Task} task */
  constructor(task) {
    const { width, dropout } = PRESETS[task.preset];
    this.task = task;
    this.size = task.shape[0] * task.shape[1] * task.shape[2];
    const layers = task.layers ?? layersFor(width, dropout, task.classes);
    this.network = new Network(task.shape, layers, { batch: AT_ONCE, training: true, seed: task.seed });
    this.training = new Training(this.network, { rate: RATE, weight_decay: DECAY, seed: task.seed });
    this.random = new Random(task.seed + 1);
    this.change = changeFor(task.preset, task.kind);
    const { images, epoch } = lengthOf(task.preset, task.train.labels.length);
    this.wanted = images;
    this.each = epoch;
    this.began = performance.now();
    this.x = new Float32Array(AT_ONCE * this.size);
    this.elapsed = this.before = 0; // seconds, and images, of the sessions before this one
    this.images = this.reported = 0;
    this.order = this.random.order(task.train.labels.length);
    this.at = 0;
    this.sum = { loss: 0, right: 0, count: 0 };
    if (task.state !== null) this.resume(task.state);
  }

  /** @param {SessionState} state */
  resume({ images, elapsed, order, at, sum, reported, random, training }) {
    if (order.length !== this.order.length) throw new Error("The pictures are others than those of the training.");
    Object.assign(this, { images, before: images, elapsed, order: order.slice(), at, sum: { ...sum }, reported });
    this.random.state = /** @type {[number, number, number, number]} */ ([...random]);
    this.training.state = training;
  }

  /** @returns {SessionState} */
  get state() {
    const { images, order, at, sum, reported, random, training, seconds } = this;
    return {
      images,
      elapsed: seconds,
      order: order.slice(),
      at,
      sum: { ...sum },
      reported,
      random: [...random.state],
      training: training.state,
    };
  }

  /** How long it has trained, with what was before a break. */
  get seconds() {
    return this.elapsed + (performance.now() - this.began) / 1000;
  }

  /** How much of the training is done, 0 to 1. */
  get share() {
    const { seconds } = this.task;
    const share = seconds === null ? this.images / this.wanted : this.seconds / seconds;
    return Math.min(1, share);
  }

  step() {
    const { train, shape } = this.task;
    const count = Math.min(BATCH, Math.max(2, train.labels.length));
    const labels = new Uint8Array(count);
    for (let place = 0; place < count; place++) {
      if (this.at >= this.order.length) {
        this.order = this.random.order(this.order.length);
        this.at = 0;
      }
      const row = this.order[this.at++];
      labels[place] = train.labels[row];
      changedCopy(train.x, row * this.size, shape, this.change, this.random, this.x, place * this.size);
    }
    const warm = Math.min(1, (this.images + count) / (20 * BATCH)); // the first steps are small
    const rate = RATE * warm * (0.01 + 0.99 * (1 + Math.cos(Math.PI * this.share)) / 2);
    this.training.settings = { ...this.training.settings, rate };
    const { loss, right } = this.training.step(this.x.subarray(0, count * this.size), labels);
    this.sum.loss += loss * count;
    this.sum.right += right;
    this.sum.count += count;
    this.images += count;
  }

  /** @returns {EpochMessage} */
  epoch() {
    const { loss, right, count } = this.sum;
    this.reported = this.images;
    this.sum = { loss: 0, right: 0, count: 0 };
    const { test, classes } = this.task;
    const tested = test.labels.length ? asked(this.network, test.x, this.size, this.x) : [];
    const confusion = Array.from({ length: classes }, () => Array(classes).fill(0));
    const answers = tested.map(({ logits }) => argmax(logits));
    answers.forEach((answer, row) => confusion[test.labels[row]][answer]++);
    const gradient = new Float32Array(classes);
    const losses = tested.map(({ logits }, row) =>
      LOSSES.cross_entropy(Float32Array.from(logits), test.labels[row], gradient)
    );
    const wrong = answers.filter((answer, row) => answer !== test.labels[row]).length;
    const seconds = (performance.now() - this.began) / 1000;
    const { share } = this;
    const layers = this.network.described();
    return {
      type: "epoch",
      epoch: Math.round(this.images / this.each * 100) / 100,
      epochs: this.task.seconds === null ? Math.ceil(this.wanted / this.each) : null,
      share,
      loss: loss / count,
      accuracy: right / count,
      valLoss: tested.length ? losses.reduce((sum, each) => sum + each, 0) / tested.length : null,
      valAccuracy: tested.length ? 1 - wrong / tested.length : null,
      speed: (this.images - this.before) / seconds,
      left: share > 0 ? this.seconds / share - this.seconds : 0,
      state: this.state,
      confusion: tested.length ? confusion : null,
      answers,
      sure: tested.map(({ logits }, row) => softmax(logits)[answers[row]]),
      filters: layers[0].weight.slice(),
      layers,
    };
  }
}

/** Logits of many pictures. @type {(network: Network, pixels: Uint8Array, size: number, x: Float32Array) => { logits: number[] }[]} */
export function asked(network, pixels, size, x) {
  const made = [];
  const most = Math.min(AT_ONCE, Math.floor(x.length / size));
  for (let first = 0; first * size < pixels.length; first += most) {
    const count = Math.min(most, pixels.length / size - first);
    for (let i = 0; i < count * size; i++) x[i] = pixels[first * size + i] / 255;
    const logits = network.forward(x.subarray(0, count * size), count);
    for (let row = 0; row < count; row++) {
      made.push({ logits: [...logits.subarray(row * network.classes, (row + 1) * network.classes)] });
    }
  }
  return made;
}
