// @ts-check
// The pad: mouse, touch and pen draw on the sheet, which is shown at the resolution of the screen.

import { drawingContext } from "./elements.js";
/** @import { Point, Sheet } from "./sheet.js" */

export class Pad {
  /** @param {HTMLCanvasElement} canvas @param {Sheet} sheet @param {(lifted: boolean) => void} changed */
  constructor(canvas, sheet, changed) {
    this.canvas = canvas;
    this.sheet = sheet;
    this.changed = changed;
    /** @type {number | null} */
    this.pointer = null; // the id of the pointer that draws
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.up(event));
    new ResizeObserver(() => this.paint()).observe(canvas);
  }

  /**
   * Where the sheet lies on the canvas, in CSS pixels.
   * @returns {{ left: number, top: number, width: number, height: number }}
   */
  frame() {
    const { clientWidth, clientHeight } = this.canvas;
    const scale = Math.min(clientWidth / this.sheet.canvas.width, clientHeight / this.sheet.canvas.height);
    const [width, height] = [this.sheet.canvas.width * scale, this.sheet.canvas.height * scale];
    return { left: (clientWidth - width) / 2, top: (clientHeight - height) / 2, width, height };
  }

  /** @param {MouseEvent} event @returns {Point} */
  place({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    const { left, top, width, height } = this.frame();
    return [
      (clientX - box.left - this.canvas.clientLeft - left) / width,
      (clientY - box.top - this.canvas.clientTop - top) / height,
    ];
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (this.pointer !== null || event.button !== 0) return;
    event.preventDefault();
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.sheet.begin(this.place(event));
    this.paint();
    this.changed(false);
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    this.sheet.extend((events.length ? events : [event]).map((each) => this.place(each)));
    this.paint();
    this.changed(false);
  }

  /** @param {PointerEvent} event */
  up(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.changed(true);
  }

  paint() {
    const { canvas, sheet } = this;
    const density = Math.min(3, devicePixelRatio || 1);
    const [width, height] = [Math.round(canvas.clientWidth * density), Math.round(canvas.clientHeight * density)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = drawingContext(canvas);
    const frame = this.frame();
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    context.imageSmoothingQuality = "high";
    if (!sheet.empty) context.drawImage(sheet.canvas, frame.left, frame.top, frame.width, frame.height);
    canvas.parentElement?.classList.toggle("drawn", !sheet.empty);
    canvas.parentElement?.classList.toggle("pictured", sheet.picture !== null);
  }
}
