// @ts-check
// A live part: one setting varied, networks trained side by side on a few hundred digits.

import { percent } from "../elements.js";
import { draw, short, written } from "./chart.js";
import { dense, digitTask, Trainer } from "./trained.js";
/** @import { Part, Values } from "./frame.js" */
/** @import { Place, Style } from "./chart.js" */
/** @import { Samples } from "../playground/samples.js" */
/** @import { Task } from "../playground/session.js" */
/** @import { Curves } from "./trained.js" */

/** The settings of one training of the sweep. @typedef {{ hidden: number, rate: number, momentum: number, decay: number, shuffle: number, parts: number }} Setting */

/** @type {Setting} */
const USUAL = { hidden: 16, rate: 0.2, momentum: 0, decay: 0, shuffle: 1, parts: 40 };

/** What can be varied, from where to where, and what it is. @type {{ name: keyof Setting, text: string, values: number[], about: string }[]} */
export const VARIED = [
  {
    name: "hidden",
    text: "hidden units",
    values: [1, 4, 16, 64],
    about: "Too few units cannot hold ten classes apart",
  },
  {
    name: "rate",
    text: "learning rate",
    values: [0.01, 0.1, 1, 5],
    about: "Too small a rate creeps, too large a one jumps about",
  },
  {
    name: "momentum",
    text: "momentum",
    values: [0, 0.5, 0.9, 0.99],
    about: "Momentum 0.9 makes steps about ten times as long in the end",
  },
  {
    name: "decay",
    text: "decay of the rate",
    values: [0, 0.1, 1, 10],
    about: "In epoch t the rate is rate/(1 + decay·t)",
  },
  { name: "shuffle", text: "shuffling", values: [1, 0], about: "Without shuffling every epoch has the same order" },
  {
    name: "parts",
    text: "mini-batches per epoch",
    values: [1, 4, 40, 400],
    about: "1 is all images at once, 400 is one image at a time",
  },
];
const EPOCHS = 15;
/** @type {Style[]} */
const STYLES = ["a", "b", "c", "f"];

/** @type {(samples: Samples, values: Values) => Task[]} */
export function tasks(samples, { varied, seed }) {
  const { name, values } = VARIED[varied];
  return values.map((value) => {
    const setting = { ...USUAL };
    setting[name] = value;
    const { hidden, rate, momentum, decay, shuffle, parts } = setting;
    const batch = Math.ceil(samples.train.labels.length / parts);
    const layers = dense([hidden, samples.classes.length]);
    const settings = /** @type {const} */ ({ optimizer: "sgd", rate, momentum });
    return digitTask(samples, { layers, settings, decay, batch, seed, shuffle: shuffle === 1 });
  });
}

/** @type {(value: number, varied: number) => string} */
function named(value, varied) {
  return VARIED[varied].name === "shuffle" ? (value ? "shuffled" : "same order") : short(value);
}

/** @type {(accuracies: number[], losses: number[], varied: number) => string} */
export function sweepSentence(accuracies, losses, varied) {
  const { text, values, about } = VARIED[varied];
  const best = accuracies.indexOf(Math.max(...accuracies));
  const worst = accuracies.indexOf(Math.min(...accuracies));
  const lost = losses.filter((loss) => !(loss < 1e3)).length;
  const first = `${about}. After ${EPOCHS} epochs ${text}: ${named(values[best], varied)} is best, with ${
    percent(accuracies[best])
  } of 300 test images right`;
  const lostToo = lost ? `; the loss has run away with ${lost} of the values` : "";
  return `${first}; ${named(values[worst], varied)} is worst, with ${percent(accuracies[worst])}${lostToo}.`;
}

const trainer = new Trainer();

/** @type {Part} */
export const sweepPart = {
  name: "sweep",
  title: "Turn one setting, and watch four networks learn",
  about: [
    "Each curve is a network with one hidden layer of ReLU units, trained just now on 400 digits by stochastic gradient descent. All have the same settings but for one: 16 hidden units, rate 0.2, no momentum, 40 mini-batches of 10 images per epoch.",
  ],
  ask: {
    question:
      "All 400 images at once (one mini-batch per epoch), or one image at a time (400): which learns more in 15 epochs?",
    choices: ["All at once", "One at a time", "No difference: both see every image 15 times"],
    right: 1,
    because:
      "All at once makes 15 steps, one at a time 6,000, however rough. Choose “mini-batches per epoch” to see it.",
  },
  controls: [
    { kind: "choice", name: "varied", label: "What varies", texts: VARIED.map(({ text }) => text), start: 0 },
    {
      kind: "choice",
      name: "shown",
      label: "What is shown",
      texts: ["accuracy on test images", "training loss"],
      start: 0,
    },
    { kind: "slider", name: "seed", label: "Seed", values: [1, 2, 3, 4, 5], start: 1, text: short },
  ],
  show(figure, values, say) {
    const { varied, shown, seed } = values;
    return trainer.run(`${varied} ${seed}`, (samples) => tasks(samples, values), EPOCHS, (curves, isDone) => {
      drawSweep(figure, curves, varied, shown);
      if (!isDone) return;
      const last = curves.map((curve) => curve[curve.length - 1]);
      say(sweepSentence(last.map(({ accuracy }) => accuracy), last.map(({ loss }) => loss), varied));
    });
  },
};

/** @type {(figure: HTMLElement, curves: Curves, varied: number, shown: number) => void} */
function drawSweep(figure, curves, varied, shown) {
  const { text, values } = VARIED[varied];
  const what = shown ? "training loss" : "accuracy on test images";
  draw(figure, `${what} by epoch, for each value of ${text}`, {
    x: [0, EPOCHS],
    y: shown ? [0, 3] : [0, 1],
    xName: "epoch",
    yName: what,
    yFormat: shown ? (tick) => written(tick, 1) : (tick) => percent(tick, 0),
    lines: curves.map((curve, run) => ({
      name: named(values[run], varied),
      style: STYLES[run],
      places: curve.map(({ epoch, loss, accuracy }) => /** @type {Place} */ ([epoch, shown ? loss : accuracy])),
    })),
  });
}
