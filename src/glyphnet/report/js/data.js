// @ts-check
// The data of the page, and its images.

import { byId, drawingContext } from "../../pages/js/elements.js";

/** A value for each epoch. @typedef {(number | null)[]} Curve */
/**
 * What glyphnet/report/page.py writes; arrays are base64 text.
 * @typedef {{
 *   classes: string[],
 *   matrix: number[][],
 *   sheets: { [name: string]: { width: number, height: number, columns: number } },
 *   images: {
 *     all: number, count: number, bars: number, names: string[], labels: string, predictions: string,
 *     topClasses: string, topProbabilities: string, confidence: string, loss: string,
 *   },
 *   saliency: { tiles: string, count: number } | null,
 *   history: { epoch: number[], lr: Curve, loss: Curve, accuracy: Curve, val_loss: Curve, val_accuracy: Curve },
 *   bestEpoch: number | null,
 *   reliability: Bin[],
 *   reliabilityBefore: Bin[] | null,
 *   coverage: { thresholds: number[], coverage: number[], accuracy: number[], mark: [share: number, right: number] | null },
 *   embedding: { places: string, pca: string, tsne: string | null } | null,
 *   labels: { key: string, parts: Part[] },
 * }} Data
 */
/**
 * ReliabilityBin in glyphnet/evaluation/calibration.py.
 * @typedef {{
 *   low: number, high: number, count: number, confidence: number, accuracy: number,
 *   interval: { low: number, high: number },
 * }} Bin
 */
/**
 * Suspected labels of one part of the data; sheet: of their images.
 * @typedef {{
 *   part: string, sheet: string, files: string[], given: number[], suggested: number[], scores: number[],
 * }} Part
 */
/**
 * The images of the page: `count` of `all`, and for each, one after the other, the `bars` most probable classes.
 * @typedef {{
 *   all: number, count: number, bars: number, names: string[], labels: Uint16Array, predictions: Uint16Array,
 *   topClasses: Uint16Array, topProbabilities: Uint16Array, confidence: Float32Array, loss: Float32Array,
 * }} Images
 */

/** @type {Data} */
export const data = JSON.parse(byId("data").textContent);

/** @type {(text: string) => ArrayBuffer} */
export function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
}

/** @type {Images} */
export const images = {
  ...data.images,
  labels: new Uint16Array(bytes(data.images.labels)),
  predictions: new Uint16Array(bytes(data.images.predictions)),
  topClasses: new Uint16Array(bytes(data.images.topClasses)),
  topProbabilities: new Uint16Array(bytes(data.images.topProbabilities)),
  confidence: new Float32Array(bytes(data.images.confidence)),
  loss: new Float32Array(bytes(data.images.loss)),
};

/**
 * Draw a tile of a sheet on a canvas, pixel by pixel.
 * @type {(canvas: HTMLCanvasElement, sheet: string, tile: number) => CanvasRenderingContext2D}
 */
export function drawTile(canvas, sheet, tile) {
  const { width, height, columns } = data.sheets[sheet];
  canvas.width = width;
  canvas.height = height;
  const left = (tile % columns) * width;
  const top = Math.floor(tile / columns) * height;
  const context = drawingContext(canvas, { willReadFrequently: true });
  context.drawImage(byId(`sheet-${sheet}`, HTMLImageElement), left, top, width, height, 0, 0, width, height);
  return context;
}

/**
 * Draw image i of the page.
 * @type {(canvas: HTMLCanvasElement, i: number) => CanvasRenderingContext2D}
 */
export function drawImage(canvas, i) {
  return drawTile(canvas, "images", i);
}

/**
 * Draw the tiles that stand in the page from the start.
 * @type {() => void}
 */
export function drawTiles() {
  for (const canvas of /** @type {NodeListOf<HTMLCanvasElement>} */ (document.querySelectorAll("canvas[data-tile]"))) {
    drawTile(canvas, canvas.dataset.sheet ?? "", Number(canvas.dataset.tile));
  }
}
