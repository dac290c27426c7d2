// @ts-check
// One training of the playground or of a lab: its network, its data, its steps, and how it stands.

import { sigmoid } from "../engine/activations.js";
import { labelOf, LOSSES, Training } from "../engine/training.js";
import { Random } from "../engine/random.js";
import { Network, softmax } from "../network.js";
import { PLANE } from "./samples.js";
/** @import { Description, Shape } from "../engine/layer.js" */
/** @import { Settings } from "../engine/training.js" */
/** @import { Part } from "./samples.js" */

/**
 * What is trained. number: of the training, which its reports carry; batch: images a step; shift: pixels that each image is moved by at random; decay: the rate of epoch t is
 * rate/(1 + decay·t); shuffle: whether each epoch has an order of its own, as it has unless this is false; dropUntil: the epoch from which
 * on nothing is dropped out, never unless given.
 * @typedef {{
 *   number: number, shape: Shape, layers: Description[], classes: number, isPoints: boolean, train: Part, test: Part, batch: number,
 *   shift: number, decay: number, seed: number, settings: Settings, shuffle?: boolean, dropUntil?: number,
 * }} Task
 */
/**
 * How a training stands. units: the values of each unit of each visible layer, for the input that is looked at or over the plane;
 * region: the class of each place of the plane and how sure; weights: of the first layer with weights.
 * @typedef {{
 *   type: "progress", number: number, epoch: number, steps: number, images: number, speed: number, loss: number | null, accuracy: number | null,
 *   test: { loss: number, accuracy: number, confusion: number[][], predicted: Uint8Array } | null,
 *   units: { values: Float32Array, shape: Shape, each: number }[], links: (Float32Array | null)[], region: Float32Array | null,
 *   answer: number[] | null,
 * }} Progress
 */

const AT_ONCE = 256; // samples that are asked at once

export class Session {
  /** @param {Task} task */
  constructor(task) {
    this.task = task;
    this.width = task.shape[0] * task.shape[1] * task.shape[2];
    const batch = Math.max(AT_ONCE, task.batch);
    this.network = new Network(task.shape, task.layers, { batch, training: true, seed: task.seed });
    this.training = new Training(this.network, { ...task.settings, seed: task.seed });
    this.random = new Random(task.seed + 1);
    this.epoch = 0;
    this.at = 0;
    this.steps = 0;
    this.images = 0;
    this.seconds = 0;
    this.order = this.nextOrder(task.train.labels.length);
    this.x = new Float32Array(batch * this.width);
    this.sum = { loss: 0, right: 0, count: 0 };
    /** @type {Uint8Array | Float32Array | null} */
    this.looked = null;
  }

  /** The order of an epoch. @param {number} count */
  nextOrder(count) {
    return this.task.shuffle === false
      ? Uint32Array.from({ length: count }, (_, row) => row)
      : this.random.order(count);
  }

  /** Train one batch. */
  step() {
    const { train, batch, settings, decay, shift, isPoints, dropUntil = Infinity } = this.task;
    if (this.epoch >= dropUntil) { for (const layer of this.network.chain.layers) if ("rate" in layer) layer.rate = 0; }
    const rows = this.order.subarray(this.at, this.at + batch);
    const labels = Uint8Array.from(rows, (row) => train.labels[row]);
    rows.forEach((row, place) => this.fill(train.x, row, place, isPoints ? 0 : shift));
    this.training.settings = { ...settings, rate: settings.rate / (1 + decay * this.epoch) };
    const { loss, right } = this.training.step(this.x.subarray(0, rows.length * this.width), labels);
    this.sum.loss += loss * rows.length;
    this.sum.right += right;
    this.sum.count += rows.length;
    this.steps++;
    this.images += rows.length;
    this.at += rows.length;
    if (this.at >= this.order.length) {
      this.at = 0;
      this.epoch++;
      this.order = this.nextOrder(this.order.length);
    }
  }

  /**
   * What the network sees of a sample, in the place of one of the batch.
   * @param {Uint8Array | Float32Array} from @param {number} row @param {number} place @param {number} shift
   */
  fill(from, row, place, shift = 0) {
    const { isPoints, shape: [height, width, channels] } = this.task;
    const [start, to] = [row * this.width, place * this.width];
    if (isPoints) {
      for (let i = 0; i < this.width; i++) this.x[to + i] = from[start + i];
      return;
    }
    const [down, across] = shift ? [0, 0].map(() => this.random.below(2 * shift + 1) - shift) : [0, 0];
    for (let y = 0, at = to; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const inside = y - down >= 0 && y - down < height && x - across >= 0 && x - across < width;
        const source = start + ((y - down) * width + x - across) * channels;
        for (let c = 0; c < channels; c++, at++) this.x[at] = inside ? from[source + c] / 255 : 0;
      }
    }
  }

  /** Train for some milliseconds, and not beyond a number of steps. @param {number} milliseconds @param {number} until */
  run(milliseconds, until) {
    const began = performance.now();
    const { epoch } = this;
    let now = began;
    // Few points are learned faster than anybody can look: an epoch a slice, unless a certain step is wanted.
    const isPaced = this.task.isPoints && until === Infinity;
    while (now - began < milliseconds && this.steps < until && !(isPaced && this.epoch > epoch)) {
      this.step();
      now = performance.now();
    }
    this.seconds += (now - began) / 1000;
  }

  /** Loss, accuracy and answers of the whole network on the test part, or on another. @param {Part} part */
  test(part = this.task.test) {
    const { classes } = this.task;
    const count = part.labels.length;
    if (!count) return null;
    const outputs = this.network.classes;
    const loss = LOSSES[this.task.settings.loss ?? "cross_entropy"];
    const gradient = new Float32Array(outputs);
    const confusion = Array.from({ length: classes }, () => Array(classes).fill(0));
    const predicted = new Uint8Array(count);
    let [sum, right] = [0, 0];
    for (let first = 0; first < count; first += AT_ONCE) {
      const many = Math.min(AT_ONCE, count - first);
      for (let place = 0; place < many; place++) this.fill(part.x, first + place, place);
      const logits = this.network.forward(this.x.subarray(0, many * this.width), many);
      for (let place = 0; place < many; place++) {
        const own = logits.subarray(place * outputs, (place + 1) * outputs);
        const label = part.labels[first + place];
        sum += loss(own, label, gradient);
        const named = predicted[first + place] = labelOf(own);
        confusion[label][named]++;
        right += named === label ? 1 : 0;
      }
    }
    return { loss: sum / count, accuracy: right / count, confusion, predicted };
  }

  /** The layers whose values a picture of the network shows: the last step of each thought. */
  visible() {
    const { layers } = this.network.chain;
    const kinds = this.task.layers.map(({ type }) => type);
    return layers.map((layer, number) => ({ layer, number })).filter(({ number }) => {
      if (["flatten", "dropout"].includes(kinds[number])) return false;
      return kinds[number + 1] !== "activation";
    });
  }

  /** Values of all visible units, and the answer, for the input that is looked at. */
  look() {
    if (this.looked === null) return { units: [], answer: null };
    this.fill(this.looked, 0, 0);
    const logits = this.network.forward(this.x.subarray(0, this.width), 1);
    const units = this.visible().map(({ layer }) => ({
      values: layer.y.values.slice(0, layer.outputs),
      shape: layer.shape,
      each: 1,
    }));
    return { units, answer: probabilities(logits) };
  }

  /** Values of all visible units, and the answers, over the plane from -1.2 to 1.2. */
  plane() {
    const places = PLANE * PLANE;
    const visible = this.visible();
    const units = visible.map(({ layer }) => ({
      values: new Float32Array(places * layer.outputs),
      shape: layer.shape,
      each: places,
    }));
    const region = new Float32Array(places);
    for (let first = 0; first < places; first += AT_ONCE) {
      const many = Math.min(AT_ONCE, places - first);
      for (let place = 0; place < many; place++) {
        const [row, column] = [Math.floor((first + place) / PLANE), (first + place) % PLANE];
        this.x[2 * place] = 2.4 * (column + 0.5) / PLANE - 1.2;
        this.x[2 * place + 1] = 1.2 - 2.4 * (row + 0.5) / PLANE;
      }
      const logits = this.network.forward(this.x.subarray(0, many * this.width), many);
      for (let place = 0; place < many; place++) {
        region[first + place] =
          probabilities(logits.subarray(place * this.network.classes, (place + 1) * this.network.classes))[1];
      }
      visible.forEach(({ layer }, number) => {
        for (let place = 0; place < many; place++) {
          for (let unit = 0; unit < layer.outputs; unit++) {
            units[number].values[unit * places + first + place] = layer.y.values[place * layer.outputs + unit];
          }
        }
      });
    }
    return { units, region };
  }

  /** The weights into each visible layer, (inputs, outputs); null where it has none. */
  links() {
    const { layers } = this.network.chain;
    const kinds = this.task.layers.map(({ type }) => type);
    return this.visible().map(({ number }) => {
      const own = kinds[number] === "activation" ? layers[number - 1] : layers[number];
      return own.parameters.find(({ name }) => name === "weight")?.value.values.slice() ?? null;
    });
  }

  /** @returns {Progress} */
  progress() {
    const { loss, right, count } = this.sum;
    this.sum = { loss: 0, right: 0, count: 0 };
    const plane = this.task.isPoints ? this.plane() : null;
    const looked = plane === null ? this.look() : null;
    return {
      type: "progress",
      number: this.task.number,
      epoch: this.epoch + this.at / Math.max(1, this.order.length),
      steps: this.steps,
      images: this.images,
      speed: this.seconds ? this.images / this.seconds : 0,
      loss: count ? loss / count : null,
      accuracy: count ? right / count : null,
      test: this.test(),
      units: plane?.units ?? looked?.units ?? [],
      links: this.links(),
      region: plane?.region ?? null,
      answer: looked?.answer ?? null,
    };
  }
}

/** @type {(logits: Float32Array) => number[]} */
function probabilities(logits) {
  if (logits.length > 1) return softmax(logits);
  const one = sigmoid(logits[0]);
  return [1 - one, one];
}
