// @ts-check
// The worker of the labs: it trains several networks, one after the other, and reports each epoch.

import { Session } from "../playground/session.js";
/** @import { Task } from "../playground/session.js" */
/** @import { Description } from "../engine/layer.js" */

/**
 * A report: which job and network, the losses and the accuracy after an epoch; with the last one comes the last network's layers.
 * @typedef {{
 *   job: number, run: number, epoch: number, loss: number, testLoss: number, accuracy: number, done: boolean, layers?: Description[],
 * }} Report
 */

const SLICE = 25; // milliseconds between looks at messages

let job = 0;

/** @type {(number: number, tasks: Task[], epochs: number) => Promise<void>} */
async function train(number, tasks, epochs) {
  let due = performance.now() + SLICE;
  for (const [run, task] of tasks.entries()) {
    const session = new Session(task);
    let [sum, count] = [0, 0];
    while (session.epoch < epochs) {
      const { epoch } = session;
      session.step();
      if (session.epoch > epoch) {
        [sum, count] = [session.sum.loss, session.sum.count];
        session.sum = { loss: 0, right: 0, count: 0 };
        const test = session.test();
        const done = run === tasks.length - 1 && session.epoch === epochs;
        const judged = { testLoss: test?.loss ?? NaN, accuracy: test?.accuracy ?? NaN };
        const layers = done ? session.network.described() : undefined;
        postMessage({ job: number, run, epoch: session.epoch, loss: sum / count, ...judged, done, layers });
      }
      if (performance.now() < due) continue;
      await new Promise((resolve) => setTimeout(resolve));
      if (job !== number) return; // a newer one
      due = performance.now() + SLICE;
    }
  }
}

onmessage = ({ data: { number, tasks, epochs } }) => {
  job = number;
  train(number, tasks, epochs);
};
