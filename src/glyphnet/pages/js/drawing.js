// The page: whatever changes on the sheet is made like the training images, and answered at the next frame.

import { Answer } from "./answer.js";
import { byId } from "./elements.js";
import { answerTo, setOf } from "./foreign.js";
import { normalizePicture } from "./ink.js";
import { largest } from "./network.js";
import { Pad } from "./pad.js";
import { startPictures } from "./picture.js";
import { occlusion } from "./saliency.js";
import { Sheet } from "./sheet.js";
import { startTheme } from "./theme.js";
import { readModel } from "./weights.js";

const model = readModel();
const sheet = new Sheet(model.shape[1], model.shape[0]);
const answer = new Answer(model);
const blank = new Uint8Array(model.shape.reduce((product, side) => product * side)).fill(model.ink.background ?? 0);
let pixels = blank;
let latest = 0; // the number of the newest answer: work for older ones stops
let asked = false; // whether a frame is asked for
let found = null; // the newest answer: what `answerTo` gave
let rested = false; // whether the pen was lifted since the last answer

/** Probabilities of pixels, 0 to 255, in the order (row, column, channel). */
function classify(values) {
  return answerTo(model, values).probabilities;
}

function changed(lifted) {
  rested ||= lifted;
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    think();
  });
}

function think() {
  const number = ++latest;
  byId("undo").disabled = !sheet.before.length;
  byId("clear").disabled = sheet.empty;
  const empty = { pixels: blank, reason: "no_drawing", given: null };
  const made = sheet.empty ? empty : normalizePicture(...sheet.pixels(), model.ink);
  pixels = made.pixels;
  if (sheet.empty) {
    found = null;
    answer.clear();
    answer.see(pixels);
    return;
  }
  found = answerTo(model, pixels, made.reason, made.given);
  answer.update(found, rested);
  rested = false;
  answer.see(pixels);
  if (byId("looked").checked && found.reason !== "no_drawing") overlay(number, largest(found.probabilities));
}

async function overlay(number, label) {
  const seen = pixels;
  const saliency = await occlusion(model, seen, label, () => number !== latest);
  if (saliency && number === latest && byId("looked").checked) answer.see(seen, saliency);
}

function startPage() {
  const pad = new Pad(byId("pad"), sheet, changed);
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
  byId("looked").addEventListener("change", () => changed(false));
  byId("open").addEventListener("click", () => byId("file").click());
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") undo(event);
    if (event.key === "Delete" || event.key === "Escape") clear(event);
  });
  const say = (sentence) => {
    byId("trouble").textContent = sentence;
  };
  startPictures(byId("pad").parentElement, (picture) => {
    say("");
    after(() => sheet.show(picture))();
  }, say);
  pad.paint();
  changed(false);
}

startTheme();
startPage();
globalThis.glyphnet = {
  classes: model.classes,
  shape: model.shape,
  classify,
  answer: (values) => answerTo(model, values),
  set: (values, level) => setOf(model.conformal, classify(values), level)?.map((label) => model.classes[label]) ?? null,
  pixels: () => pixels,
  shown: () => found,
};
document.documentElement.dataset.ready = "yes";
