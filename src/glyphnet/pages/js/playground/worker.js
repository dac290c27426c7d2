// @ts-check
// The worker: it trains in slices, and tells the page what it has found a few times a second.

import { savedModel } from "../engine/modelfile.js";
import { Session } from "./session.js";

const SLICE = 25; // milliseconds of training before messages are looked at
const PAUSE = 120; // milliseconds between two reports, at least
const SHARE = 4; // and so many times as long as a report takes: large test parts take long

/** @type {Session | null} */
let session = null;
let playing = false;
let until = Infinity; // the step at which it pauses by itself
let due = 0; // when the next report is

/** @type {(always: boolean) => void} */
function report(always) {
  const now = performance.now();
  if (session === null || (!always && now < due)) return;
  postMessage({ ...session.progress(), playing });
  due = performance.now() + Math.max(PAUSE, SHARE * (performance.now() - now));
}

function play() {
  if (!playing || session === null) return;
  session.run(SLICE, until);
  report(false);
  if (session.steps >= until) {
    postMessage({ type: "paused" });
    MESSAGES.pause();
  }
  setTimeout(play, session.task.isPoints && until === Infinity ? SLICE : 0); // messages come in between
}

/** @type {{ [type: string]: (data?: any) => void }} */
const MESSAGES = {
  make({ task }) {
    const looked = session?.looked ?? null;
    session = new Session(task);
    if (looked?.length === session.width) session.looked = looked;
    report(true);
  },
  change({ settings, decay }) {
    if (session === null) return;
    Object.assign(session.task, { settings, decay });
  },
  look({ x }) {
    if (session === null) return;
    session.looked = x;
    if (!playing) report(true);
  },
  play(data) {
    until = data.until;
    if (playing) return;
    playing = true;
    play();
  },
  pause() {
    if (!playing) return;
    playing = false;
    report(true);
  },
  step() {
    session?.step();
    report(true);
  },
  /** The model file of the present weights, with the accuracy on the test part. */
  save({ classes, data, created }) {
    if (session === null) return;
    const { shape } = session.task;
    const test = session.test();
    const metrics = test === null
      ? {}
      : { judged_on: `${data}, test`, accuracy: test.accuracy, n: test.predicted.length };
    const file = savedModel(
      { layers: session.network.described(), shape, classes, preprocessing: { mode: "unit_range", mean: [], std: [] } },
      metrics,
      { data, created, versions: {} },
    );
    postMessage({ type: "file", file }, { transfer: [file.buffer] });
  },
};

onmessage = ({ data }) => {
  try {
    MESSAGES[data.type](data);
  } catch (error) {
    playing = false;
    postMessage({ type: "trouble", text: error instanceof Error ? error.message : String(error) });
  }
};
