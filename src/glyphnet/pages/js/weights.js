// @ts-check
// Decoding the model in the page: a JSON description, and all weights in one base64 text.

import { byId } from "./elements.js";
import { Network } from "./network.js";
/** @import { Conformal, Foreign } from "./foreign.js" */
/** @import { PageSpec } from "./ink.js" */
/** @import { Description, Shape } from "./engine/layer.js" */
/** @import { Reader } from "./network.js" */

/**
 * Where a tensor lies among the weights, and how it is written: see readTensor.
 * @typedef {{ offset: number, length: number, outputs: number }} Tensor
 */
/**
 * What a page knows of any model, whoever computes its answers: glyphnet/pages/desk.py writes it.
 * @typedef {{
 *   classes: string[], shape: Shape, conformal: Conformal | null, reasons: { [code: string]: string }, ink: PageSpec,
 * }} Described
 */
/**
 * The model as glyphnet/export/webpage.py writes it.
 * @typedef {Reader & Described & { threshold: number | null, foreign: Foreign | null, tensors: Tensor[] }} Model
 */

/**
 * Decode one tensor: float32, or int8, or int16 with a float32 scale for each output, the last axis.
 * @type {(bytes: ArrayBuffer, tensor: Tensor) => Float32Array}
 */
function readTensor(bytes, { offset, length, outputs }) {
  if (outputs < 0) return Float32Array.from(new Int8Array(bytes.slice(offset, offset + length)));
  if (outputs === 0) return new Float32Array(bytes.slice(offset, offset + 4 * length));
  const scales = new Float32Array(bytes.slice(offset, offset + 4 * outputs));
  const start = offset + 4 * outputs;
  const steps = new Int16Array(bytes.slice(start, start + 2 * length));
  return Float32Array.from(steps, (step, index) => step * scales[index % outputs]);
}

/** @type {(text: string) => ArrayBuffer} */
function readBytes(text) {
  const characters = atob(text.trim());
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes.buffer;
}

/** @type {() => Model} */
export function readModel() {
  return decodeModel(byId("model").textContent, byId("weights").textContent);
}

/**
 * Decode the description, a JSON text, and put the values of the base64 text in the place of each tensor's number.
 * @type {(description: string, weights: string) => Model}
 */
export function decodeModel(description, weights) {
  const model = JSON.parse(description);
  const bytes = readBytes(weights);
  const tensors = model.tensors.map((/** @type {Tensor} */ tensor) => readTensor(bytes, tensor));
  /** @type {(layer: Description) => void} */
  const filled = (layer) => {
    for (const name of ["weight", "bias", "scale", "shift", "inputs", "states"]) {
      if (name in layer) layer[name] = tensors[layer[name]];
    }
    for (const name of ["branch", "shortcut"]) layer[name]?.forEach(filled);
    for (const list of [...(layer.levels ?? []), ...(layer.parts ?? [])]) list.forEach(filled);
  };
  model.layers.forEach(filled);
  model.network = new Network(model.shape, model.layers);
  if (model.foreign) {
    for (const name of ["directions", "weights"]) {
      model.foreign[name] = tensors[model.foreign[name]];
    }
  }
  return model;
}
