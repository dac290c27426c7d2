// @ts-check
// A live part: the best of many equally good trials looks better than it is.

import { percent } from "../elements.js";
import { Random } from "../engine/random.js";
import { draw, short, written } from "./chart.js";
/** @import { Part, Values } from "./frame.js" */
/** @import { Place } from "./chart.js" */

export const TRUE = 0.9; // accuracy of every trial
const REPEATS = 400; // searches for the mean

/**
 * The accuracies that equally good trials are measured to have on so many images. The number of right answers is binomial;
 * with 100 images or more its normal approximation is close enough.
 * @type {(random: Random, trials: number, images: number) => number[]}
 */
export function measured(random, trials, images) {
  const spread = Math.sqrt(TRUE * (1 - TRUE) * images);
  return Array.from({ length: trials }, () => {
    const right = Math.round(TRUE * images + spread * random.normal());
    return Math.min(images, Math.max(0, right)) / images;
  });
}

/** How much the best of them looks better than it is, on average. @type {(trials: number, images: number) => number} */
export function surplus(trials, images) {
  const random = new Random(11);
  let sum = 0;
  for (let repeat = 0; repeat < REPEATS; repeat++) sum += Math.max(...measured(random, trials, images)) - TRUE;
  return sum / REPEATS;
}

/** @type {(values: Values) => { found: number[], best: number, again: number, mean: number }} */
export function searched({ trials, images, seed }) {
  const random = new Random(seed);
  const found = measured(random, trials, images);
  const again = measured(random, 1, images)[0];
  return { found, best: found.indexOf(Math.max(...found)), again, mean: surplus(trials, images) };
}

/** @type {(made: ReturnType<typeof searched>, values: Values) => string} */
export function luckSentence({ found, best, again, mean }, { trials, images }) {
  const first = trials === 1
    ? `One trial: it has ${percent(found[0])} on ${short(images)} images. It was not chosen, so its figure is fair`
    : `Trial ${best + 1} wins with ${percent(found[best])} on ${short(images)} images. On as many new ones it has ${
      percent(again)
    }`;
  return `${first}. All trials are right in ${percent(TRUE, 0)} of cases: the best of ${trials} looks ${
    written(100 * Math.max(0, mean), 1)
  } points better than that on average.`;
}

/** @type {Part} */
export const luckPart = {
  name: "luck",
  title: "The best of many, by luck alone",
  about: [
    "Here no setting matters: every trial names 90 % of all images rightly. Each is judged on the same number of validation images, and chance makes some look better than others. The search takes the best.",
  ],
  ask: {
    question: "All trials are equally good. What does the figure of the best one promise?",
    choices: ["What it will do on new images", "Too much", "Too little"],
    right: 1,
    because:
      "It was chosen because chance was kind to it. On new images chance is fair again: that is the winner's curse, and why a test part that chose nothing has the last word.",
  },
  controls: [
    { kind: "slider", name: "trials", label: "Trials", values: [1, 3, 10, 30, 100], start: 30, text: short },
    {
      kind: "slider",
      name: "images",
      label: "Validation images",
      values: [100, 300, 1000, 10_000],
      start: 300,
      text: short,
    },
    { kind: "slider", name: "seed", label: "Search (seed)", values: [1, 2, 3, 4, 5], start: 1, text: short },
  ],
  show(figure, values, say) {
    const made = searched(values);
    const places = made.found.map((share, trial) => /** @type {Place} */ ([trial + 1, share]));
    const most = values.trials + 1;
    draw(figure, "Measured accuracy of each trial, the best, and the best on new images", {
      x: [0, most],
      y: [0.8, 1],
      xName: "trial",
      yName: "accuracy on the validation images",
      xFormat: short,
      yFormat: (tick) => percent(tick, 0),
      lines: [{ name: "what every trial is worth", style: "d", places: [[0, TRUE], [most, TRUE]] }],
      dots: [
        { name: "trials", style: "a", places },
        { name: "the best", style: "b", places: [places[made.best]], size: 7 },
        { name: "the best, on new images", style: "c", places: [[made.best + 1, made.again]], size: 5 },
      ],
    });
    say(luckSentence(made, values));
  },
};
