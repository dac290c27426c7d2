// @ts-check
// What is on the pad: strokes and pictures, in order. Every change stores the state before it, for undo.

import { drawingContext } from "./elements.js";

/** RGBA, width, height. @typedef {[pixels: Uint8ClampedArray, width: number, height: number]} Pixels */
/** A place, in shares of the sheet's width and height. @typedef {[x: number, y: number]} Point */
/** What is on the sheet: a stroke or a picture. @typedef {{ stroke?: Point[], picture?: ImageBitmap }} Item */

const LONGEST = 448; // pixels of the sheet that the network's image is made from
const LARGEST = 4096; // pixels of the longer side of a picture that is read
export const PEN = 0.062; // width of a stroke, as a share of the sheet's shorter side

/**
 * The pixels of a picture in its own size: RGBA, width, height; of a very large one in a smaller size.
 * @type {(picture: ImageBitmap) => Pixels}
 */
function pixelsOf(picture) {
  const scale = Math.min(1, LARGEST / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = drawingContext(canvas, { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  return [context.getImageData(0, 0, width, height).data, width, height];
}

export class Sheet {
  /** @param {number} width @param {number} height */
  constructor(width, height) {
    this.aspect = width / height;
    /** @type {Item[]} */
    this.items = [];
    /** @type {Item[][]} */
    this.before = [];
    this.canvas = document.createElement("canvas");
    this.context = drawingContext(this.canvas, { willReadFrequently: true });
    this.render();
  }

  get empty() {
    return this.items.length === 0;
  }

  get picture() {
    return this.items.find((item) => item.picture)?.picture ?? null;
  }

  /** The strokes, where there is nothing else. @returns {Point[][]} */
  get strokes() {
    return this.picture ? [] : this.items.flatMap((item) => item.stroke ? [item.stroke] : []);
  }

  /** A sheet of the same form with some strokes alone. @param {Point[][]} strokes @returns {Sheet} */
  with(strokes) {
    const other = new Sheet(this.aspect, 1);
    other.change(strokes.map((stroke) => ({ stroke })));
    return other;
  }

  /** @param {Item[]} items */
  change(items) {
    this.before.push(this.items);
    this.items = items;
    this.render();
  }

  undo() {
    this.items = this.before.pop() ?? this.items;
    this.render();
  }

  clear() {
    if (!this.empty) this.change([]);
  }

  /** @param {ImageBitmap} picture */
  show(picture) {
    this.change([{ picture }]);
  }

  /**
   * Begin a stroke; places are shares of the sheet's width and height.
   * @param {Point} place
   */
  begin(place) {
    this.change([...this.items, { stroke: [place] }]);
  }

  /**
   * Draw the newest stroke on.
   * @param {Point[]} places
   */
  extend(places) {
    this.items.at(-1)?.stroke?.push(...places);
    this.render(); // drawn piece by piece, the edges would be darker than after undo
  }

  render() {
    const picture = this.picture;
    const aspect = picture ? picture.width / picture.height : this.aspect;
    this.canvas.width = Math.max(1, Math.round(LONGEST * Math.min(1, aspect)));
    this.canvas.height = Math.max(1, Math.round(LONGEST / Math.max(1, aspect)));
    const { width, height } = this.canvas;
    this.context.fillStyle = "#fff";
    this.context.fillRect(0, 0, width, height);
    this.context.imageSmoothingQuality = "high";
    if (picture) this.context.drawImage(picture, 0, 0, width, height);
    for (const { stroke } of this.items) if (stroke) this.line(stroke);
  }

  /** @param {Point[]} places */
  line(places) {
    const { context, canvas } = this;
    context.strokeStyle = "#000";
    context.lineWidth = PEN * Math.min(canvas.width, canvas.height);
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    const [first, ...rest] = places.map(([x, y]) => ({ x: x * canvas.width, y: y * canvas.height }));
    context.moveTo(first.x, first.y);
    for (const { x, y } of rest.length ? rest : [first]) context.lineTo(x, y); // a tap is a dot
    context.stroke();
  }

  /**
   * Its pixels: RGBA, width, height; a picture on which nothing is drawn has its own size, as in other programs.
   * @returns {Pixels}
   */
  pixels() {
    if (this.picture && this.items.length === 1) return pixelsOf(this.picture);
    const { width, height } = this.canvas;
    return [this.context.getImageData(0, 0, width, height).data, width, height];
  }
}
