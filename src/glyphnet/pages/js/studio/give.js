// @ts-check
// What the page's own engine gives away: the sealed model, and a page of its own that recognises.

import { byId } from "../elements.js";
import { savedModel } from "../engine/modelfile.js";
import { EPSILON } from "../engine/norms.js";
/** @import { Description, Shape } from "../engine/layer.js" */
/** @import { PageSpec } from "../ink.js" */
/** @import { Bank } from "./unlike.js" */

/**
 * A trained model of the page. images: that its training has seen; judged: on the pictures that it did not learn from:
 * their ids, their labels and the answers, as numbers of classes.
 * @typedef {{
 *   run: string, kind: string, spec: PageSpec, shape: Shape, classes: string[], layers: Description[], bank: Bank | null,
 *   threshold: number | null, images: number, made: string, pictures: number, preset: string,
 *   judged: { ids: string[], labels: number[], answers: number[], sure: number[] },
 * }} TrainedModel
 */
/** The parts of an exported page, as pages/studio.py gives them. @typedef {{ pages: { [kind: string]: string }, script: string, style: string, reasons: { [code: string]: string }, version: string }} Skeleton */

const STEPS = 32_767; // the largest int16

/** The layers for a page that only recognises: batch norms as factors and summands, no dropout. @type {(layers: Description[]) => Description[]} */
export function forInference(layers) {
  return layers.map((layer) => {
    if (layer.type !== "batchNorm") return layer;
    const scale = Float32Array.from(layer.scale, (each, k) => each / Math.sqrt(layer.variance[k] + EPSILON));
    return {
      type: "affine",
      scale,
      shift: Float32Array.from(layer.shift, (each, k) => each - layer.mean[k] * scale[k]),
    };
  });
}

/** Tensors one after the other, as weights.js decodes them. */
class Weights {
  constructor() {
    /** @type {{ offset: number, length: number, outputs: number }[]} */
    this.tensors = [];
    /** @type {Uint8Array[]} */
    this.parts = [];
    this.length = 0;
  }

  /** @param {number} length @param {number} outputs @param {(Float32Array | Int16Array | Int8Array)[]} arrays */
  add(length, outputs, ...arrays) {
    this.tensors.push({ offset: this.length, length, outputs });
    for (const each of arrays) {
      const bytes = new Uint8Array(each.buffer.slice(each.byteOffset, each.byteOffset + each.byteLength));
      this.parts.push(bytes);
      this.length += bytes.length;
    }
    return this.tensors.length - 1;
  }

  /** 32-bit numbers. @param {Float32Array} values */
  plain(values) {
    return this.add(values.length, 0, values);
  }

  /** 16-bit steps with a factor for each output, the last axis. @param {Float32Array} values @param {number} outputs */
  weight(values, outputs) {
    const most = new Float32Array(outputs);
    values.forEach((value, at) => (most[at % outputs] = Math.max(most[at % outputs], Math.abs(value))));
    const scales = most.map((each) => (each || 1) / STEPS);
    return this.add(
      values.length,
      outputs,
      scales,
      Int16Array.from(values, (value, at) => Math.round(value / scales[at % outputs])),
    );
  }

  base64() {
    let text = "";
    for (const bytes of this.parts) {
      for (let at = 0; at < bytes.length; at += 32_768) text += String.fromCharCode(...bytes.subarray(at, at + 32_768));
    }
    return btoa(text);
  }
}

/** @type {(text: string) => string} */
export function escaped(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** JSON that may stand in a script. @type {(value: unknown) => string} */
function scriptJson(value) {
  return JSON.stringify(value).replace(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
}

/** The model as decodeModel takes it. @type {(model: TrainedModel, reasons: Skeleton["reasons"]) => { description: string, weights: string }} */
export function pageModel({ classes, shape, spec, layers, bank, threshold }, reasons) {
  const weights = new Weights();
  const described = forInference(layers).map((layer) => {
    /** @type {Description} */
    const own = { ...layer };
    if (layer.weight) own.weight = weights.weight(layer.weight, layer.outputs);
    for (const name of ["bias", "scale", "shift"]) if (layer[name]) own[name] = weights.plain(layer[name]);
    if (layer.weight && !layer.bias) own.bias = weights.plain(new Float32Array(layer.outputs));
    return own;
  });
  const foreign = bank && {
    ...bank,
    directions: weights.add(bank.directions.length, -1, Int8Array.from(bank.directions)),
    weights: weights.plain(bank.weights),
  };
  const description = scriptJson({
    classes,
    threshold: threshold ?? null, // models of earlier pages have none
    temperature: 1,
    shape,
    preprocessing: { mode: "unit_range", mean: [], std: [] },
    layers: described,
    foreign,
    conformal: null,
    reasons,
    tensors: weights.tensors,
    ink: spec,
  });
  return { description, weights: weights.base64() };
}

/** @type {() => Skeleton} */
export function readSkeleton() {
  return JSON.parse(byId("skeleton").textContent ?? "");
}

/** What a model recognises, in a word. @type {(classes: string[]) => string} */
function subjectOf(classes) {
  if (classes.length > 4) {
    if (classes.every((name) => /^\d$/.test(name))) return "digits";
    return `${classes[0]}, ${classes[1]}, … ${classes[classes.length - 1]}`;
  }
  return classes.join(", ").slice(0, 80);
}

/** One file that recognises in any browser. card: what is said of the model. @type {(model: TrainedModel, card: [term: string, text: string][]) => Blob} */
export function exportedPage(model, card) {
  const { pages, script, style, reasons } = readSkeleton();
  const { description, weights } = pageModel(model, reasons);
  const terms = card.map(([term, text]) => `<div><dt>${escaped(term)}</dt><dd>${escaped(text)}</dd></div>`).join("");
  /** @type {{ [place: string]: string }} */
  const parts = {
    NAME: escaped(subjectOf(model.classes)),
    CARD: terms,
    MODEL: description,
    WEIGHTS: weights,
    SCRIPT: script,
    STYLE: style,
  };
  const text = pages[model.spec.kind === "ink" ? "ink" : "photo"].replace(
    /@@([A-Z]+)@@/g,
    (whole, place) => parts[place] ?? whole,
  );
  return new Blob([text], { type: "text/html" });
}

/** The file that glyphnet predict reads. @type {(model: TrainedModel, metrics: { [name: string]: any }) => Blob} */
export function sealedModel(model, metrics) {
  const { layers, shape, classes, spec, made, threshold, bank } = model;
  const { image_shape: _, ...ink } = /** @type {any} */ (spec);
  const isInk = spec.kind === "ink";
  const file = savedModel(
    {
      layers,
      shape,
      classes,
      preprocessing: { mode: "unit_range", mean: [], std: [] },
      ...(isInk ? { ink } : {}),
      threshold: threshold ?? null,
      bank: bank?.threshold ? bank : null,
    },
    metrics,
    { data: "studio", created: made, versions: {} },
  );
  return new Blob([file], { type: "application/octet-stream" });
}
