// @ts-check
// Networks that a live part trains in a worker on the digits of the page, and their curves.

import { byId } from "../elements.js";
import { Network } from "../network.js";
import { heldSamples } from "../playground/samples.js";
/** @import { Task } from "../playground/session.js" */
/** @import { Samples } from "../playground/samples.js" */
/** @import { Report } from "./worker.js" */

/** The reports of each network, in the order of the epochs. @typedef {Report[][]} Curves */

const LEARNED = 20; // epochs of the network that several parts look at

/** @type {Promise<Samples> | null} */
let unpacked = null;

/** The digits of the page: 400 to learn from, 300 to test. @type {() => Promise<Samples>} */
export function digits() {
  return unpacked ??= heldSamples(JSON.parse(byId("digits").textContent ?? ""));
}

/** The source of the worker as an address. @type {() => string} */
function workerAddress() {
  return URL.createObjectURL(new Blob([byId("worker").textContent ?? ""], { type: "text/javascript" }));
}

/** One worker of one live part, which trains what was asked last. */
export class Trainer {
  constructor() {
    /** @type {Worker | null} */
    this.worker = null;
    this.number = 0;
    this.key = "";
    /** @type {Curves} */
    this.curves = [];
    this.isDone = true;
    this.isDrawn = true; // or the next frame draws what has come
    /** @type {(curves: Curves, isDone: boolean) => void} */
    this.show = () => {};
    this.finish = () => {};
    /** @type {Promise<void>} */
    this.finished = Promise.resolve();
  }

  /**
   * Train, and call `show` with the curves as they grow; the same key again shows what there is.
   * @param {string} key @param {(samples: Samples) => Task[]} tasks @param {number} epochs
   * @param {(curves: Curves, isDone: boolean) => void} show
   * @returns {Promise<void>} kept when the networks are trained and shown; never, if others are asked for meanwhile
   */
  run(key, tasks, epochs, show) {
    this.show = show;
    if (key === this.key) {
      if (this.curves.length) show(this.curves, this.isDone);
      return this.finished;
    }
    this.key = key;
    this.curves = [];
    this.isDone = false;
    this.finished = new Promise((resolve) => this.finish = () => resolve());
    this.start(++this.number, tasks, epochs);
    return this.finished;
  }

  /** @param {number} number @param {(samples: Samples) => Task[]} tasks @param {number} epochs */
  async start(number, tasks, epochs) {
    const made = tasks(await digits());
    if (number !== this.number) return;
    this.curves = made.map(() => []);
    if (this.worker === null) {
      this.worker = new Worker(workerAddress());
      this.worker.onmessage = ({ data }) => this.take(data);
    }
    this.worker.postMessage({ number, tasks: made, epochs });
  }

  /** @param {Report} report */
  take(report) {
    if (report.job !== this.number) return;
    this.curves[report.run].push(report);
    this.isDone = report.done;
    if (!this.isDrawn) return;
    this.isDrawn = false;
    requestAnimationFrame(() => {
      this.isDrawn = true;
      if (this.curves.length) this.show(this.curves, this.isDone);
      if (this.isDone) this.finish();
    });
  }
}

/** A network 64–32–10 that has learned the digits of the page, and the digits. @typedef {{ network: Network, samples: Samples }} Learned */

/** @type {Promise<Learned> | null} */
let known = null;

/** A worker trains it, once for all parts. @type {() => Promise<Learned>} */
export function learned() {
  return known ??= digits().then((samples) => {
    const layers = dense([32, samples.classes.length]);
    const task = digitTask(samples, { layers, settings: { optimizer: "adam", rate: 0.01, l2: 1e-3 } });
    const worker = new Worker(workerAddress());
    return new Promise((resolve) => {
      worker.onmessage = (/** @type {MessageEvent<Report>} */ { data }) => {
        if (!data.layers) return;
        worker.terminate();
        const network = new Network(samples.shape, data.layers, { batch: samples.test.labels.length });
        resolve({ network, samples });
      };
      worker.postMessage({ number: 1, tasks: [task], epochs: LEARNED });
    });
  });
}

/** A task on the digits, with what is usual here. @type {(samples: Samples, task: Partial<Task> & Pick<Task, "layers" | "settings">) => Task} */
export function digitTask({ shape, classes, train, test }, task) {
  const usual = {
    number: 0,
    shape,
    classes: classes.length,
    isPoints: false,
    train,
    test,
    batch: 10,
    shift: 0,
    decay: 0,
  };
  return { ...usual, seed: 1, ...task };
}

/** Dense layers with an activation between them. @type {(units: number[], activation?: string, dropout?: number) => Task["layers"]} */
export function dense(units, activation = "relu", dropout = 0) {
  return [
    { type: "flatten" },
    ...units.flatMap((outputs, place) => {
      if (place === units.length - 1) return [{ type: "dense", outputs }];
      const layers = [{ type: "dense", outputs }, { type: "activation", name: activation }];
      return dropout ? [...layers, { type: "dropout", rate: dropout }] : layers;
    }),
  ];
}
