// @ts-check
// Pictures as pixels, and pixels as pictures, in the page itself.

import { sha256 } from "../engine/sha256.js";
import { decodePicture } from "../decode.js";
import { drawingContext } from "../elements.js";

const LARGEST = 2048; // pixels of the longer side that are looked at

/** RGBA, width, height of a picture. @type {(blob: Blob) => Promise<[Uint8ClampedArray, number, number]>} */
export async function pixelsOf(blob) {
  const bitmap = await decodePicture(blob);
  const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = drawingContext(canvas, { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return [context.getImageData(0, 0, width, height).data, width, height];
}

/**
 * The address of a picture of pixels, (red, green, blue) for each place.
 * @type {(width: number, height: number, colour: (at: number) => ArrayLike<number>) => string}
 */
export function pictured(width, height, colour) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  for (let at = 0; at < width * height; at++) {
    image.data.set(colour(at), 4 * at);
    image.data[4 * at + 3] = 255;
  }
  drawingContext(canvas).putImageData(image, 0, 0);
  return canvas.toDataURL("image/png");
}

/**
 * Filters of a first convolution one below the other, in grey where 128 is a weight of 0. Weights lie in the order (row,
 * column, channel, filter); their channels are averaged.
 * @type {(weights: Float32Array, shape: [number, number, number, number]) => string}
 */
export function filterPicture(weights, [count, height, width, channels]) {
  const most = weights.reduce((high, value) => Math.max(high, Math.abs(value)), 1e-9);
  return pictured(width, count * height, (at) => {
    const [filter, inside] = [Math.floor(at / (width * height)), at % (width * height)];
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += weights[(inside * channels + c) * count + filter];
    const value = 128 + Math.round(127 * sum / channels / most);
    return [value, value, value];
  });
}

/** A picture as an address that holds it whole. @type {(blob: Blob) => Promise<string>} */
export function dataAddress(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** SHA-256 of a file, in hexadecimal. @type {(blob: Blob) => Promise<string>} */
export async function hashOf(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  if (!globalThis.crypto?.subtle) return sha256(bytes);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (value) => value.toString(16).padStart(2, "0")).join("");
}

/** @type {[ending: string, type: string, begins: number[]][]} */
const KINDS = [
  ["png", "image/png", [0x89, 0x50, 0x4e, 0x47]],
  ["jpg", "image/jpeg", [0xff, 0xd8, 0xff]],
  ["gif", "image/gif", [0x47, 0x49, 0x46, 0x38]],
  ["bmp", "image/bmp", [0x42, 0x4d]],
  ["webp", "image/webp", [0x52, 0x49, 0x46, 0x46]],
];

/** The kind of a picture by its first bytes; null for what glyphnet does not read from a folder. @type {(blob: Blob) => Promise<{ ending: string, type: string } | null>} */
export async function kindOf(blob) {
  const head = new Uint8Array(await blob.slice(0, 4).arrayBuffer());
  const found = KINDS.find(([, , begins]) => begins.every((value, place) => head[place] === value));
  return found ? { ending: found[0], type: found[1] } : null;
}
