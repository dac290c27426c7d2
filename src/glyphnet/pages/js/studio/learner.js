// @ts-check
// The worker of the page's own engine: it makes pictures alike, trains, asks a model about many pictures, and compares them.

import { decodePicture } from "../decode.js";
import { normalizePicture } from "../ink.js";
import { Network, softmax } from "../network.js";
import { asked, AT_ONCE, Session } from "./session.js";
import { limitsOf } from "./unlike.js";
/** @import { Description } from "../engine/layer.js" */
/** @import { PageSpec } from "../ink.js" */
/** @import { Alike } from "./alike.js" */
/** @import { SessionState, Task } from "./session.js" */
/** @import { Limits } from "./unlike.js" */

/** @typedef {{ type: "trained", stopped: boolean, layers: Description[], limits: Limits, state: SessionState }} TrainedMessage */

const SLICE = 60; // milliseconds of training before messages are looked at

let stopped = false;

/** Train until it is done or stopped; an epoch is reported as often as it is worth. @type {(task: Task) => Promise<void>} */
async function train(task) {
  const session = new Session(task);
  stopped = false;
  while (session.share < 1 && !stopped) {
    const began = performance.now();
    while (performance.now() - began < SLICE && session.share < 1) {
      session.step();
      if (session.images - session.reported >= session.each) postMessage(session.epoch());
    }
    await new Promise((resume) => setTimeout(resume)); // messages come in between
  }
  if (session.sum.count) postMessage(session.epoch());
  const layers = session.network.described();
  postMessage({ type: "trained", stopped, layers, limits: limitsOf(task, layers), state: session.state });
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
  return {
    pixels: Uint8Array.from(made.pixels),
    given: made.given && Uint8Array.from(made.given),
    drawn: made.reason === null,
    colour: colour / (width * height),
  };
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
