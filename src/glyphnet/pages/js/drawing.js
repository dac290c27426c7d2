// @ts-check
// The first module of an exported page: it computes the answers itself.

import { Desk } from "./desk.js";
import { answerTo, setOf } from "./foreign.js";
import { occlusion } from "./saliency.js";
import { readModel } from "./weights.js";

const model = readModel();

/**
 * Probabilities of pixels, 0 to 255, in the order (row, column, channel).
 * @type {(values: ArrayLike<number>) => number[]}
 */
function classify(values) {
  return answerTo(model, values).probabilities;
}

const desk = new Desk(model, {
  judge: ({ pixels, reason, given }) => answerTo(model, pixels, reason, given),
  explain: (pixels, label, stop) => occlusion(model, pixels, label, stop),
});
/** For other programs and our tests. */
const glyphnet = {
  classes: model.classes,
  shape: model.shape,
  classify,
  answer: (/** @type {ArrayLike<number>} */ values) => answerTo(model, values),
  set: (/** @type {ArrayLike<number>} */ values, /** @type {number} */ level) =>
    setOf(model.conformal, classify(values), level)?.map((label) => model.classes[label]) ?? null,
  pixels: () => desk.pixels,
  shown: () => desk.found,
};
Object.assign(globalThis, { glyphnet });
document.documentElement.dataset.ready = "yes";
