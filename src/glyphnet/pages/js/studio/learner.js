// @ts-check
// The worker of the page's own engine: it makes pictures alike, trains, asks a model about many pictures, and compares them.

import { decodePicture } from "../decode.js";
import { LOSSES, Training } from "../engine/training.js";
import { Random } from "../engine/random.js";
import { normalizePicture } from "../ink.js";
import { argmax, Network, softmax } from "../network.js";
import { changedCopy } from "./augment.js";
import { BATCH, changeFor, DECAY, layersFor, lengthOf, PRESETS, RATE } from "./recipe.js";
import { prototypesOf } from "./unlike.js";
/** @import { Description, Shape } from "../engine/layers.js" */
/** @import { PageSpec } from "../ink.js" */
/** @import { Alike } from "./alike.js" */
/** @import { Bank } from "./unlike.js" */

/** Pictures, their values one after the other, and their labels. @typedef {{ x: Uint8Array, labels: Uint8Array }} Part */
/**
 * seconds: how long to train, where not as long as the preset says; layers: of a training that is resumed, and the
 * images that it had seen.
 * @typedef {{
 *   kind: string, shape: Shape, classes: number, preset: string, seconds: number | null, seed: number, train: Part, test: Part,
 *   layers: Description[] | null, images: number,
 * }} Task
 */
/**
 * answers: the label that each test picture got; sure: how probable it was.
 * @typedef {{
 *   type: "epoch", epoch: number, epochs: number | null, share: number, loss: number, accuracy: number, valLoss: number | null,
 *   valAccuracy: number | null, speed: number, left: number, images: number, confusion: number[][] | null, answers: number[],
 *   sure: number[], filters: Float32Array, layers: Description[],
 * }} EpochMessage
 */
/** @typedef {{ type: "trained", stopped: boolean, layers: Description[], bank: Bank | null, images: number }} TrainedMessage */

const SLICE = 60; // milliseconds of training before messages are looked at
const AT_ONCE = 128; // pictures that are asked at once

class Session {
  /** @param {Task} task */
  constructor(task) {
    const { width, dropout } = PRESETS[task.preset];
    this.task = task;
    this.size = task.shape[0] * task.shape[1] * task.shape[2];
    const layers = task.layers ?? layersFor(width, dropout, task.classes);
    this.network = new Network(task.shape, layers, { batch: AT_ONCE, training: true, seed: task.seed });
    this.training = new Training(this.network, { rate: RATE, weight_decay: DECAY, seed: task.seed });
    this.random = new Random(task.seed + 1 + task.images);
    this.change = changeFor(task.preset, task.kind);
    const { images, epoch } = lengthOf(task.preset, task.train.labels.length);
    this.wanted = images;
    this.each = epoch;
    this.images = task.images;
    this.began = performance.now();
    this.order = this.random.order(task.train.labels.length);
    this.at = 0;
    this.x = new Float32Array(AT_ONCE * this.size);
    this.sum = { loss: 0, right: 0, count: 0 };
  }

  /** How much of the training is done, 0 to 1. */
  get share() {
    const { seconds } = this.task;
    const share = seconds === null ? this.images / this.wanted : (performance.now() - this.began) / 1000 / seconds;
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
    const layers = this.network.described();
    return {
      type: "epoch",
      epoch: Math.round(this.images / this.each * 100) / 100,
      epochs: this.task.seconds === null ? Math.ceil(this.wanted / this.each) : null,
      share: this.share,
      loss: loss / count,
      accuracy: right / count,
      valLoss: tested.length ? losses.reduce((sum, each) => sum + each, 0) / tested.length : null,
      valAccuracy: tested.length ? 1 - wrong / tested.length : null,
      speed: (this.images - this.task.images) / seconds,
      left: this.share > 0 ? seconds / this.share - seconds : 0,
      images: this.images,
      confusion: tested.length ? confusion : null,
      answers,
      sure: tested.map(({ logits }, row) => softmax(logits)[answers[row]]),
      filters: layers[0].weight.slice(),
      layers,
    };
  }
}

/** Logits of many pictures. @type {(network: Network, pixels: Uint8Array, size: number, x: Float32Array) => { logits: number[] }[]} */
function asked(network, pixels, size, x) {
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

let stopped = false;

/** Train until it is done or stopped; an epoch is reported as often as it is worth. @type {(task: Task) => Promise<void>} */
async function train(task) {
  const session = new Session(task);
  stopped = false;
  let reported = session.images;
  while (session.share < 1 && !stopped) {
    const began = performance.now();
    while (performance.now() - began < SLICE && session.share < 1) {
      session.step();
      if (session.images - reported >= session.each) {
        postMessage(session.epoch());
        reported = session.images;
      }
    }
    await new Promise((resume) => setTimeout(resume)); // messages come in between
  }
  if (session.sum.count) postMessage(session.epoch());
  const layers = session.network.described();
  const bank = prototypesOf(task, layers);
  postMessage({ type: "trained", stopped, layers, bank, images: session.images });
}

/** A picture at the size of the model; null where the browser cannot read it. @type {(blob: Blob, spec: PageSpec) => Promise<Alike | null>} */
async function alike(blob, spec) {
  let bitmap;
  try {
    bitmap = await decodePicture(blob);
  } catch {
    return null;
  }
  const scale = Math.min(1, 1024 / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("This browser cannot draw in a worker.");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const made = normalizePicture(data, width, height, spec);
  let colour = 0;
  for (let i = 0; i < data.length; i += 4) {
    colour += Math.abs(data[i] - data[i + 1]) + Math.abs(data[i + 1] - data[i + 2]);
  }
  return { pixels: Uint8Array.from(made.pixels), drawn: made.reason === null, colour: colour / (width * height) };
}

/** For each picture the label that all its nearest ones have, -1 where they disagree (k nearest neighbours). @type {(x: Uint8Array, labels: Uint8Array, size: number) => Int16Array} */
function neighbours(x, labels, size) {
  const K = 3;
  const count = labels.length;
  const lengths = Float64Array.from({ length: count }, (_, row) => {
    let sum = 0;
    for (let i = row * size; i < (row + 1) * size; i++) sum += x[i] * x[i];
    return Math.sqrt(sum) || 1;
  });
  return Int16Array.from({ length: count }, (_, row) => {
    /** @type {{ near: number, label: number }[]} */
    const best = [];
    for (let other = 0; other < count; other++) {
      if (other === row) continue;
      let sum = 0;
      for (let i = 0, a = row * size, b = other * size; i < size; i++) sum += x[a + i] * x[b + i];
      const near = sum / lengths[row] / lengths[other];
      if (best.length === K && near <= best[K - 1].near) continue;
      best.push({ near, label: labels[other] });
      best.sort((one, two) => two.near - one.near);
      best.length = Math.min(best.length, K);
    }
    return best.length === K && best.every(({ label }) => label === best[0].label) ? best[0].label : -1;
  });
}

/** @type {{ [type: string]: (data: any) => Promise<void> | void }} */
const MESSAGES = {
  train: ({ task }) => train(task),
  stop() {
    stopped = true;
  },
  async prepare({ number, blobs, spec }) {
    const made = [];
    for (const blob of blobs) made.push(await alike(blob, spec));
    postMessage({ type: "reply", number, result: made });
  },
  ask({ number, shape, layers, x }) {
    const size = shape[0] * shape[1] * shape[2];
    const network = new Network(shape, layers, { batch: AT_ONCE });
    const result = asked(network, x, size, new Float32Array(AT_ONCE * size)).map(({ logits }) => softmax(logits));
    postMessage({ type: "reply", number, result });
  },
  neighbours({ number, x, labels, size }) {
    postMessage({ type: "reply", number, result: neighbours(x, labels, size) });
  },
};

onmessage = async ({ data }) => {
  try {
    await MESSAGES[data.type](data);
  } catch (error) {
    postMessage({
      type: "trouble",
      number: data.number ?? null,
      text: error instanceof Error ? error.message : String(error),
    });
  }
};
