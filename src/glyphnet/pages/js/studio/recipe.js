// @ts-check
// What the page's own engine trains: a small convolutional network, for how long, and on which part of the pictures.

import { CHANGES, stronger } from "./augment.js";
/** @import { Description } from "../engine/layer.js" */
/** @import { Change } from "./augment.js" */

/**
 * images: how many are seen, `each` times the training pictures and at least so many; width: channels of the first
 * convolution; dropout: share of the features that is left out.
 * @typedef {{ least: number, each: number, width: number, dropout: number, isStronger: boolean }} Preset
 */
/** @type {{ [name: string]: Preset }} */
export const PRESETS = {
  fast: { least: 12_000, each: 4, width: 16, dropout: 0.3, isStronger: false },
  balanced: { least: 40_000, each: 10, width: 16, dropout: 0.35, isStronger: false },
  best: { least: 100_000, each: 25, width: 32, dropout: 0.4, isStronger: false },
  robust: { least: 60_000, each: 15, width: 16, dropout: 0.35, isStronger: true },
};

export const BATCH = 32;
export const RATE = 0.004;
export const DECAY = 0.01; // weight decay of AdamW
const FEATURES = 64;
const LEAST_EPOCH = 1_000; // images: few pictures are gone through several times before they are tested

/** The layers of a network for pictures of this shape. @type {(width: number, dropout: number, classes: number) => Description[]} */
export function layersFor(width, dropout, classes) {
  // strides in the place of pooling: three times as many images a second, and as good on drawings
  return [
    { type: "convolution", kernel: 5, stride: 2, padding: 2, outputs: width, bias: null },
    { type: "batchNorm" },
    { type: "activation", name: "relu" },
    { type: "convolution", kernel: 3, stride: 2, padding: 1, outputs: 2 * width, bias: null },
    { type: "batchNorm" },
    { type: "activation", name: "relu" },
    { type: "flatten" },
    { type: "dropout", rate: dropout },
    { type: "dense", outputs: FEATURES },
    { type: "activation", name: "relu" },
    { type: "dense", outputs: classes },
  ];
}

/** The layers whose outputs are the features that pictures are compared by. */
export const FEATURES_AFTER = 9;

/** @type {(preset: string, kind: string) => Change} */
export function changeFor(preset, kind) {
  return PRESETS[preset].isStronger ? stronger(CHANGES[kind]) : CHANGES[kind];
}

/** How many images a training sees, and how many in an epoch. @type {(preset: string, pictures: number) => { images: number, epoch: number }} */
export function lengthOf(preset, pictures) {
  const { least, each } = PRESETS[preset];
  const epoch = Math.max(pictures, Math.ceil(LEAST_EPOCH / Math.max(1, pictures)) * pictures);
  return { images: Math.max(least, each * pictures), epoch };
}

/**
 * Which pictures test the training: one of five of each class, whole groups where there are groups. The choice depends
 * on the pictures' hashes alone, so that it stays when others come, and two runs can be compared.
 * @type {(pictures: { hash: string, label: number, group: string | null }[], classes: number) => boolean[]}
 */
export function heldOut(pictures, classes) {
  const key = (/** @type {typeof pictures[number]} */ { hash, group }) => group === null ? hash : spread(group);
  const held = pictures.map(() => false);
  for (let label = 0; label < classes; label++) {
    const own = [...pictures.keys()].filter((number) => pictures[number].label === label);
    const keys = [...new Set(own.map((number) => key(pictures[number])))].sort();
    if (keys.length < 2) continue; // a single group or picture can only be learned from
    const wanted = Math.max(1, Math.round(own.length / 5));
    const chosen = new Set();
    let count = 0;
    for (const each of keys.slice(0, -1)) {
      if (count >= wanted) break;
      chosen.add(each);
      count += own.filter((number) => key(pictures[number]) === each).length;
    }
    for (const number of own) held[number] = chosen.has(key(pictures[number]));
  }
  // a group that tests in one class must not be learned from in another
  const groups = new Set(
    pictures.filter(({ group }, number) => group !== null && held[number]).map(({ group }) => group),
  );
  return held.map((each, number) => each || groups.has(pictures[number].group));
}

/** A text as a number that looks like chance (FNV-1a), in hexadecimal. @type {(text: string) => string} */
function spread(text) {
  let value = 0x811c9dc5;
  for (const character of text) value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x45d9f3b);
  return ((value ^ (value >>> 16)) >>> 0).toString(16).padStart(8, "0");
}
