// @ts-check
// The page's first module: after each change of the sheet the picture is normalised and classified, once a frame.

import { Answer } from "./answer.js";
import { byId, within } from "./elements.js";
import { answerTo, setOf } from "./foreign.js";
import { normalizePicture } from "./ink.js";
import { argmax } from "./network.js";
import { Pad } from "./pad.js";
import { startPictures } from "./picture.js";
import { occlusion } from "./saliency.js";
import { Sheet } from "./sheet.js";
import { startTheme } from "./theme.js";
import { readModel } from "./weights.js";
/** @import { Judged } from "./foreign.js" */
/** @import { Values } from "./resample.js" */

const model = readModel();
const sheet = new Sheet(model.shape[1], model.shape[0]);
const answer = new Answer(model);
const looked = byId("looked", HTMLInputElement);
/** @type {Values} */
const blank = new Uint8Array(model.shape.reduce((product, side) => product * side)).fill(model.ink.background ?? 0);
/** @type {Values} */
let pixels = blank;
let latest = 0; // the number of the newest answer: work for older ones stops
let asked = false; // whether a frame is requested
/** @type {Judged | null} */
let found = null; // the newest answer: what `answerTo` gave
let ended = false; // whether a stroke ended since the last answer

/**
 * Probabilities of pixels, 0 to 255, in the order (row, column, channel).
 * @type {(values: ArrayLike<number>) => number[]}
 */
function classify(values) {
  return answerTo(model, values).probabilities;
}

/** @type {(lifted: boolean) => void} */
function changed(lifted) {
  ended ||= lifted;
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    think();
  });
}

/** @type {() => void} */
function think() {
  const number = ++latest;
  byId("undo", HTMLButtonElement).disabled = !sheet.before.length;
  byId("clear", HTMLButtonElement).disabled = sheet.empty;
  if (sheet.empty) {
    found = null;
    pixels = blank;
    answer.clear();
    answer.see(pixels);
    return;
  }
  const made = normalizePicture(...sheet.pixels(), model.ink);
  pixels = made.pixels;
  found = answerTo(model, pixels, made.reason, made.given);
  answer.update(found, ended);
  ended = false;
  answer.see(pixels);
  if (looked.checked && found.reason !== "no_drawing") overlay(number, argmax(found.probabilities));
}

/** @type {(number: number, label: number) => Promise<void>} */
async function overlay(number, label) {
  const seen = pixels;
  const saliency = await occlusion(model, seen, label, () => number !== latest);
  if (saliency && number === latest && looked.checked) answer.see(seen, saliency);
}

/** @type {() => void} */
function startPage() {
  const pad = new Pad(byId("pad", HTMLCanvasElement), sheet, changed);
  /** @type {(change: () => void) => (event?: Event) => void} */
  const after = (change) => (event) => {
    event?.preventDefault();
    change();
    pad.paint();
    changed(true);
  };
  const undo = after(() => sheet.undo());
  const clear = after(() => sheet.clear());
  byId("undo").addEventListener("click", undo);
  byId("clear").addEventListener("click", clear);
  looked.addEventListener("change", () => changed(false));
  byId("open").addEventListener("click", () => byId("file").click());
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") undo(event);
    if (event.key === "Delete" || event.key === "Escape") clear(event);
  });
  /** @type {(sentence: string) => void} */
  const say = (sentence) => {
    byId("trouble").textContent = sentence;
  };
  startPictures(within(document, ".paper"), (picture) => {
    say("");
    after(() => sheet.show(picture))();
  }, say);
  pad.paint();
  changed(false);
}

startTheme();
startPage();
/** For other programs and our tests. */
const glyphnet = {
  classes: model.classes,
  shape: model.shape,
  classify,
  answer: (/** @type {ArrayLike<number>} */ values) => answerTo(model, values),
  set: (/** @type {ArrayLike<number>} */ values, /** @type {number} */ level) =>
    setOf(model.conformal, classify(values), level)?.map((label) => model.classes[label]) ?? null,
  pixels: () => pixels,
  shown: () => found,
};
Object.assign(globalThis, { glyphnet });
document.documentElement.dataset.ready = "yes";
