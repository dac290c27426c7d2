// @ts-check
// The model file of GlyphNet, a sealed .safetensors: written here so that Python reads it, and read as Python wrote it.
// docs/files.md describes it; glyphnet/tensorfile.py and glyphnet/modelfile.py are the same in Python.

import { sha256 } from "./sha256.js";
/** @import { Description, Shape } from "./layer.js" */
/** @import { Preprocessing } from "../network.js" */

/** A tensor to write. @typedef {{ shape: number[], values: Float32Array | BigInt64Array | Int8Array }} Written */
/** A tensor that was read; one of another type than float32 has no values. @typedef {{ shape: number[], values: Float32Array }} Tensor */
/**
 * A model as the page has it: its layers with their weights. ink: how its training images are made, where pictures are to be
 * made so too.
 * made so too; threshold: the least probability of an answer; bank: what finds pictures unlike those of the training.
 * @typedef {{
 *   layers: Description[], shape: Shape, classes: string[], preprocessing: Preprocessing, ink?: object,
 *   threshold?: number | null, bank?: import("../foreign.js").Foreign | null,
 * }} Model
 */

const OPENING = '{"__metadata__":{"sha256":"';
/** @type {{ [bytes: number]: string }} */
const DTYPES = { 1: "I8", 4: "F32", 8: "I64" };
const MOST_HEADER = 1 << 20;
const VERSION = 2;

/**
 * The bytes of a sealed file.
 * @type {(header: object, tensors: { [name: string]: Written }) => Uint8Array<ArrayBuffer>}
 */
export function sealed(header, tensors) {
  /** @type {{ [name: string]: object }} */
  const layout = { __metadata__: { sha256: "0".repeat(64), glyphnet: JSON.stringify(header) } };
  /** @type {(name: string) => number} */
  const width = (name) => tensors[name].values.BYTES_PER_ELEMENT;
  const names = Object.keys(tensors).sort((a, b) => width(b) - width(a) || (a < b ? -1 : 1)); // the widest first
  let end = 0;
  for (const name of names) {
    const { shape, values } = tensors[name];
    const dtype = DTYPES[width(name)];
    layout[name] = { dtype, shape, data_offsets: [end, end += values.byteLength] };
  }
  const head = new TextEncoder().encode(ascii(JSON.stringify(layout)));
  const length = Math.ceil(head.length / 8) * 8;
  const file = new Uint8Array(8 + length + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(length), true);
  file.fill(0x20, 8, 8 + length);
  file.set(head, 8);
  let at = 8 + length;
  for (const name of names) {
    const { values } = tensors[name];
    file.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += values.byteLength;
  }
  file.set(new TextEncoder().encode(sha256(file)), 8 + OPENING.length);
  return file;
}

/** JSON in which all but ASCII is escaped. @type {(text: string) => string} */
function ascii(text) {
  return text.replace(/[\u007f-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * The header and the tensors of a sealed file. Its seal is checked before anything in it is read.
 * @type {(file: Uint8Array) => { header: any, tensors: { [name: string]: Tensor } }}
 */
export function opened(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const length = file.length > 8 ? Number(view.getBigUint64(0, true)) : 0;
  const text = new TextDecoder().decode(file.subarray(8, 8 + Math.min(length, MOST_HEADER)));
  if (length > MOST_HEADER || length > file.length - 8 || !text.startsWith(OPENING)) {
    throw new Error("This is no model file that GlyphNet wrote.");
  }
  const blank = file.slice();
  blank.fill(0x30, 8 + OPENING.length, 8 + OPENING.length + 64);
  if (sha256(blank) !== text.slice(OPENING.length, OPENING.length + 64)) {
    throw new Error("The file does not match its own SHA-256: it was changed or cut short.");
  }
  const { __metadata__: metadata, ...layout } = JSON.parse(text);
  /** @type {{ [name: string]: Tensor }} */
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(layout)) {
    const bytes = file.slice(8 + length + start, 8 + length + end);
    tensors[name] = { shape, values: dtype === "F32" ? new Float32Array(bytes.buffer) : new Float32Array(0) };
  }
  return { header: JSON.parse(metadata.glyphnet), tensors };
}

/**
 * The file of a model whose layers are a chain: kind "chain" in Python.
 * @type {(model: Model, metrics: { [name: string]: any }, made: { data: string, created: string, versions: object }) => Uint8Array<ArrayBuffer>}
 */
export function savedModel(
  { layers, shape, classes, preprocessing, ink, threshold = null, bank = null },
  metrics,
  made,
) {
  /** @type {{ [name: string]: Written }} */
  const tensors = {};
  const described = layers.slice(0, -1).map((layer, number) => {
    for (const [name, tensor] of Object.entries(torchTensors(layer))) tensors[`layer${number + 1}.${name}`] = tensor;
    return settingsOf(layer);
  });
  for (const [name, tensor] of Object.entries(torchTensors(layers[layers.length - 1]))) {
    tensors[`head.${name}`] = tensor;
  }
  if (bank !== null) {
    const { features, directions, weights } = bank;
    tensors.prototypes = { shape: [weights.length, features], values: Int8Array.from(directions) };
    tensors.prototype_weights = { shape: [weights.length], values: weights };
  }
  const header = {
    kind: "model",
    format_version: VERSION,
    network: { kind: "chain", layers: described },
    input_shape: shape,
    classes,
    preprocessing,
    metrics,
    provenance: { fingerprint: "", ...made },
    ...(threshold === null ? {} : { threshold }),
    ...(bank === null ? {} : { foreign: foreignIn(bank) }),
    ...(ink === undefined ? {} : { ink }),
    normalize: ink !== undefined,
  };
  return sealed(header, tensors);
}

/** The bank as the header describes it. @type {(bank: import("../foreign.js").Foreign) => object} */
function foreignIn({ features, weights, contrast, roughness, threshold, twice }) {
  return { prototypes: weights.length, features, contrast, roughness, threshold, twice };
}

/** The layers of a file whose network is a chain, with their weights. @type {(file: Uint8Array) => Model} */
export function readModelFile(file) {
  const { header, tensors } = opened(file);
  if (header.kind !== "model" || header.network?.kind !== "chain") {
    throw new Error(`A network of kind ${header.network?.kind} cannot be opened here. Train one of kind chain.`);
  }
  /** @type {(name: string) => { [part: string]: Tensor }} */
  const of = (name) =>
    Object.fromEntries(
      Object.entries(tensors).filter(([key]) => key.startsWith(`${name}.`)).map(([key, tensor]) => [
        key.slice(name.length + 1),
        tensor,
      ]),
    );
  const layers = header.network.layers.map((/** @type {any} */ layer, /** @type {number} */ number) =>
    fromTorch(layer, of(`layer${number + 1}`))
  );
  const head = of("head");
  return {
    layers: [...layers, fromTorch({ type: "dense", outputs: head.weight.shape[0] }, head)],
    shape: header.input_shape,
    classes: header.classes,
    preprocessing: header.preprocessing,
  };
}

/** What of a layer Python's description holds. @type {(layer: Description) => object} */
function settingsOf(layer) {
  switch (layer.type) {
    case "dense":
      return { type: "dense", outputs: layer.outputs, bias: layer.bias !== null };
    case "convolution": {
      const { type, kernel, outputs, stride = 1, padding = 0 } = layer;
      return { type, kernel, outputs, stride, padding, bias: layer.bias !== null };
    }
    case "maxPool":
      return { type: "maxPool", size: layer.size };
    case "activation":
      return { type: "activation", name: layer.name };
    case "dropout":
      return { type: "dropout", rate: layer.rate };
    case "batchNorm":
    case "flatten":
      return { type: layer.type };
  }
  throw new Error(`A layer of type ${layer.type} cannot be saved.`);
}

/** The tensors of a layer as PyTorch lays them out, outputs first. @type {(layer: Description) => { [name: string]: Written }} */
function torchTensors(layer) {
  /** @type {(values: Float32Array) => Written} */
  const vector = (values) => ({ shape: [values.length], values });
  if (layer.type === "batchNorm") {
    return {
      weight: vector(layer.scale),
      bias: vector(layer.shift),
      running_mean: vector(layer.mean),
      running_var: vector(layer.variance),
      num_batches_tracked: { shape: [], values: new BigInt64Array(1) },
    };
  }
  if (layer.type !== "dense" && layer.type !== "convolution") return {};
  const { weight, bias, outputs } = layer;
  const inside = layer.type === "dense" ? [] : [layer.kernel, layer.kernel];
  const inputs = weight.length / outputs / (inside[0] ?? 1) ** 2;
  const values = new Float32Array(weight.length);
  const places = weight.length / outputs / inputs;
  for (let place = 0, at = 0; place < places; place++) {
    for (let input = 0; input < inputs; input++) {
      for (let output = 0; output < outputs; output++) {
        values[(output * inputs + input) * places + place] = weight[at++];
      }
    }
  }
  const tensor = { shape: [outputs, inputs, ...inside], values };
  return bias === null ? { weight: tensor } : { weight: tensor, bias: vector(bias) };
}

/** @type {(layer: any, tensors: { [name: string]: Tensor }) => Description} */
function fromTorch(layer, tensors) {
  if (layer.type === "batchNorm") {
    const { weight, bias, running_mean, running_var } = tensors;
    return {
      ...layer,
      scale: weight.values,
      shift: bias.values,
      mean: running_mean.values,
      variance: running_var.values,
    };
  }
  if (layer.type !== "dense" && layer.type !== "convolution") return layer;
  const { shape: [outputs, inputs, ...inside], values } = tensors.weight;
  const places = inside.reduce((product, side) => product * side, 1);
  const weight = new Float32Array(values.length);
  for (let place = 0, at = 0; place < places; place++) {
    for (let input = 0; input < inputs; input++) {
      for (let output = 0; output < outputs; output++) {
        weight[at++] = values[(output * inputs + input) * places + place];
      }
    }
  }
  return { ...layer, outputs, weight, bias: tensors.bias?.values ?? null };
}
