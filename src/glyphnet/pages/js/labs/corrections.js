// @ts-check
// A live part: a classifier meets pictures of another camera, and learns from what its users correct.

import { percent } from "../elements.js";
import { Random } from "../engine/random.js";
import { draw, short } from "./chart.js";
import { dense, digitTask, Trainer } from "./trained.js";
/** @import { Part, Values } from "./frame.js" */
/** @import { Place } from "./chart.js" */
/** @import { Part as Images, Samples } from "../playground/samples.js" */
/** @import { Task } from "../playground/session.js" */

const OLD = 200; // images that the classifier in service learned; the others come in service
const EPOCHS = 20;
const NAMES = ["old pictures alone", "corrections alone", "both together"];
/** @type {("d" | "b" | "a")[]} */
const STYLES = ["d", "b", "a"];

/** Pictures 8×8 as another camera takes them: moved by a pixel to the lower right, and paler. @type {(pixels: ArrayLike<number>) => Uint8Array} */
export function asInService(pixels) {
  return Uint8Array.from({ length: pixels.length }, (_, at) => {
    const [row, column] = [Math.floor(at % 64 / 8), at % 8];
    return row && column ? Math.round(0.6 * pixels[at - 9]) : 0;
  });
}

/** Labels of which this share is wrong: another class, drawn at random. @type {(labels: Uint8Array, wrong: number, classes: number, seed: number) => Uint8Array} */
export function corrected(labels, wrong, classes, seed) {
  const random = new Random(seed);
  const made = labels.slice();
  for (const row of random.order(labels.length).subarray(0, Math.round(wrong * labels.length))) {
    made[row] = (made[row] + 1 + random.below(classes - 1)) % classes;
  }
  return made;
}

/** Rows of a part. @type {(part: Images, first: number, end: number) => { x: Uint8Array, labels: Uint8Array }} */
function rows({ x, labels }, first, end) {
  return { x: Uint8Array.from(x.subarray(64 * first, 64 * end)), labels: labels.slice(first, end) };
}

/** @type {(samples: Samples, values: Values) => Task[]} */
export function correctionTasks(samples, { count, wrong, judged, seed }) {
  const classes = samples.classes.length;
  const old = rows(samples.train, 0, OLD);
  const seen = rows(samples.train, OLD, OLD + count);
  const fixed = { x: asInService(seen.x), labels: corrected(seen.labels, wrong, classes, seed) };
  const both = {
    x: Uint8Array.from([...old.x, ...fixed.x]),
    labels: Uint8Array.from([...old.labels, ...fixed.labels]),
  };
  const test = judged ? samples.test : { x: asInService(samples.test.x), labels: samples.test.labels };
  const settings = /** @type {const} */ ({ optimizer: "adam", rate: 0.01 });
  return [old, fixed, both].map((train) => ({
    ...digitTask(samples, { layers: dense([32, classes]), settings, seed }),
    train,
    test,
  }));
}

/** @type {(accuracies: number[], values: Values) => string} */
export function correctionsSentence([old, alone, both], { count, wrong, judged }) {
  const told = `On ${judged ? "old" : "new"} pictures: ${NAMES[0]} ${percent(old)}, ${count} corrections alone ${
    percent(alone)
  }, both together ${percent(both)}.`;
  const mistaken = wrong ? ` ${percent(wrong, 0)} of the corrections are wrong.` : "";
  if (judged) {
    const lost = old - alone;
    return `${told}${mistaken} ${
      lost > 0.05
        ? "Who learns the corrections alone forgets what the old pictures taught."
        : "The corrections alone are enough here."
    }`;
  }
  const gain = both - old;
  return `${told}${mistaken} ${
    gain > 0.05
      ? "The corrections pay"
      : gain < -0.02
      ? "The corrections do harm here"
      : "The corrections change little"
  }: ${percent(both)} instead of ${percent(old)}.`;
}

const trainer = new Trainer();

/** @type {Part} */
export const correctionsPart = {
  name: "corrections",
  title: "Learn from corrections, and keep what was known",
  about: [
    "The classifier in service has learned 200 digits. In service each digit stands a pixel further to the lower right and is paler. Users correct the answers. Three networks 64–32–10 learn just now: from the old pictures, from the corrections, and from both.",
  ],
  ask: {
    question: "A network learns 200 corrections alone. How does it do on pictures as they were before?",
    choices: ["Worse than the old one", "Just as well", "Better"],
    right: 0,
    because:
      "Nothing reminds it of the old pictures: what is no longer shown is forgotten. Keep the old pictures, and train on both.",
  },
  controls: [
    { kind: "slider", name: "count", label: "Corrections", values: [10, 50, 100, 200], start: 100, text: short },
    {
      kind: "slider",
      name: "wrong",
      label: "Of these wrong",
      values: [0, 0.1, 0.3, 0.6],
      start: 0,
      text: (value) => percent(value, 0),
    },
    {
      kind: "choice",
      name: "judged",
      label: "Judged on",
      texts: ["pictures in service", "pictures as before"],
      start: 0,
    },
    { kind: "slider", name: "seed", label: "Seed", values: [1, 2, 3], start: 1, text: short },
  ],
  show(figure, values, say) {
    const { count, wrong, judged, seed } = values;
    const key = `${count} ${wrong} ${judged} ${seed}`;
    return trainer.run(key, (samples) => correctionTasks(samples, values), EPOCHS, (curves, isDone) => {
      draw(figure, `Accuracy on ${judged ? "old" : "new"} pictures by epoch, for three networks`, {
        x: [0, EPOCHS],
        y: [0, 1],
        xName: "epoch",
        yName: `right, of 300 ${judged ? "old" : "new"} pictures`,
        yFormat: (tick) => percent(tick, 0),
        lines: curves.map((curve, run) => ({
          name: NAMES[run],
          style: STYLES[run],
          places: curve.map(({ epoch, accuracy }) => /** @type {Place} */ ([epoch, accuracy])),
        })),
      });
      if (isDone) say(correctionsSentence(curves.map((curve) => curve[curve.length - 1].accuracy), values));
    });
  },
};
