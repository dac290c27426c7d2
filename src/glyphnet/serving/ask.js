// @ts-check
// The first module of the page of a served ONNX file: the service computes the answers.

import { Desk } from "../pages/js/desk.js";
import { byId, drawingContext } from "../pages/js/elements.js";
import { pngOfCanvas } from "../pages/js/png.js";
/** @import { Judged } from "../pages/js/foreign.js" */
/** @import { Pixels } from "../pages/js/sheet.js" */
/** @import { Described } from "../pages/js/weights.js" */

/**
 * Prediction in glyphnet/serving: the answer to one picture.
 * @typedef {{
 *   foreign: number | null, reason: string | null, probabilities: { label: string, probability: number }[],
 * }} Prediction
 */

/** @type {Described} */
const model = JSON.parse(byId("model").textContent);

/**
 * A picture as a PNG.
 * @type {(picture: Pixels) => Promise<Blob>}
 */
function png([rgba, width, height]) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const data = new ImageData(width, height);
  data.data.set(rgba);
  drawingContext(canvas).putImageData(data, 0, 0);
  return pngOfCanvas(canvas);
}

/** @type {(picture: Pixels) => Promise<Judged>} */
async function ask(picture) {
  const body = await png(picture);
  const headers = { "Content-Type": "image/png" };
  const response = await fetch(`/predict?topk=${model.classes.length}`, { method: "POST", headers, body }).catch(() => {
    throw new Error("The service does not answer.");
  });
  const answer = await response.json();
  if (answer.error) throw new Error(answer.error.message);
  /** @type {Prediction} */
  const { probabilities, foreign, reason } = answer.predictions[0];
  const of = new Map(probabilities.map(({ label, probability }) => [label, probability]));
  return { probabilities: model.classes.map((name) => of.get(name) ?? 0), foreign, reason };
}

const desk = new Desk(model, { judge: ({ picture }) => ask(picture), explain: null });
Object.assign(globalThis, { glyphnet: { pixels: () => desk.pixels, shown: () => desk.found } });
document.documentElement.dataset.ready = "yes";
