// @ts-check
// A live part: below which confidence a network should not answer, and why that does not stop it from naming noise.

import { percent } from "../elements.js";
import { Random } from "../engine/random.js";
import { argmax, softmax } from "../network.js";
import { draw, short } from "./chart.js";
import { learned } from "./trained.js";
/** @import { Network } from "../network.js" */
/** @import { Part } from "./frame.js" */
/** @import { Place } from "./chart.js" */
/** @import { Learned } from "./trained.js" */

/** An answer: how sure the network is, and whether it is right. @typedef {{ sure: number, right: boolean }} Answer */

const STRANGE = ["noise", "digits on their heads", "negatives"];
const COUNT = 100; // strange pictures

/** Pictures that are no digits as it learned them, from 0 to 255. @type {(pixels: ArrayLike<number>, kind: number) => Uint8Array} */
export function strange(pixels, kind) {
  const random = new Random(4);
  return Uint8Array.from({ length: 64 * COUNT }, (_, at) => {
    if (kind === 0) return random.below(256);
    return kind === 1 ? pixels[at - at % 64 + 63 - at % 64] : 255 - pixels[at];
  });
}

/** What the network answers to pictures, with their labels or without. @type {(network: Network, pixels: ArrayLike<number>, labels?: ArrayLike<number>) => Answer[]} */
export function answers(network, pixels, labels) {
  const count = pixels.length / 64;
  const logits = network.forward(Float32Array.from(pixels, (value) => value / 255), count);
  return Array.from({ length: count }, (_, row) => {
    const chances = softmax(logits.subarray(row * network.classes, (row + 1) * network.classes));
    const named = argmax(chances);
    return { sure: chances[named], right: labels !== undefined && labels[row] === named };
  });
}

/** The share that is answered at a threshold, and the share of these that is right. @type {(all: Answer[], threshold: number) => { answered: number, right: number }} */
export function atThreshold(all, threshold) {
  const given = all.filter(({ sure }) => sure >= threshold);
  return {
    answered: given.length / all.length,
    right: given.length ? given.filter(({ right }) => right).length / given.length : NaN,
  };
}

/** @type {(own: Answer[], others: Answer[], threshold: number, kind: number) => string} */
export function rejectionSentence(own, others, threshold, kind) {
  const { answered, right } = atThreshold(own, threshold);
  const fooled = atThreshold(others, threshold).answered;
  const first = `It answers ${percent(answered, 0)} of 300 test digits, ${percent(right)} of these rightly`;
  const second = `of ${COUNT} pictures of ${STRANGE[kind]} it still answers ${percent(fooled, 0)}`;
  const why = fooled > 0.2
    ? "Confidence says which class fits best, not whether any does"
    : "Most of these it turns away";
  return `${first}; ${second}. ${why}.`;
}

/** @type {Part<Learned>} */
export const rejectionPart = {
  name: "rejection",
  title: "When should it say “I do not know”?",
  about: [
    "The same network gives each of 300 test digits a class and a confidence. Below the threshold it keeps silent. And it is shown pictures that are no digits at all.",
  ],
  ask: {
    question: "You show the network pure noise. What does it say?",
    choices: ["Each class has about 10 %", "Often one class, and quite sure", "An error"],
    right: 1,
    because:
      "Softmax shares 100 % out among the classes that it knows; “none of them” is not among them. So a trained model needs a second look at whether a picture is like its training pictures: GlyphNet stores one in every model, and says “none of these”.",
  },
  controls: [
    {
      kind: "slider",
      name: "threshold",
      label: "Answer from this confidence on",
      values: [0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99],
      start: 0.8,
      text: (value) => percent(value, 0),
    },
    { kind: "choice", name: "kind", label: "Strange pictures", texts: STRANGE, start: 0 },
  ],
  needs: learned,
  show(figure, { threshold, kind }, say, { network, samples: { test } }) {
    const own = answers(network, test.x, test.labels);
    const others = answers(network, strange(test.x, kind));
    const steps = Array.from({ length: 100 }, (_, k) => k / 100);
    /** @type {(all: Answer[], what: "answered" | "right") => Place[]} */
    const curve = (all, what) => steps.map((step) => [step, atThreshold(all, step)[what]]);
    draw(figure, "Share answered and share right by the confidence from which on it answers", {
      x: [0, 1],
      y: [0, 1],
      xName: "confidence from which on it answers, in %",
      yName: "share",
      xFormat: (tick) => short(100 * tick),
      yFormat: (tick) => percent(tick, 0),
      lines: [
        { style: "d", places: [[threshold, 0], [threshold, 1]] },
        { name: "right, of the answered digits", style: "a", places: curve(own, "right") },
        { name: "digits answered", style: "c", places: curve(own, "answered") },
        { name: `${STRANGE[kind]} answered`, style: "b", places: curve(others, "answered") },
      ],
    });
    say(rejectionSentence(own, others, threshold, kind));
  },
};
