// @ts-check
// The pad and the answer: after each change of the sheet the picture is normalised and answered, once a frame. Who
// computes the answer, the page itself or a service, is the caller's.

import { Answer } from "./answer.js";
import { byId, within } from "./elements.js";
import { normalizePicture } from "./ink.js";
import { argmax } from "./network.js";
import { Pad } from "./pad.js";
import { startPictures } from "./picture.js";
import { apart, several } from "./several.js";
import { PEN, Sheet } from "./sheet.js";
import { startTheme } from "./theme.js";
/** @import { Judged } from "./foreign.js" */
/** @import { Values } from "./resample.js" */
/** @import { Pixels } from "./sheet.js" */
/** @import { Described } from "./weights.js" */

/**
 * A picture as drawn or opened, and as the network sees it: what `normalizePicture` makes of it.
 * @typedef {{ picture: Pixels, pixels: Values, reason: string | null, given: Values | null }} Shown
 */
/**
 * Who answers. judge: null if a newer question made it needless; explain: what speaks for a label, pixel by pixel.
 * @typedef {{
 *   judge: (shown: Shown) => Judged | Promise<Judged>,
 *   explain: ((pixels: Values, label: number, stop: () => boolean) => Promise<Float32Array | null>) | null,
 * }} Answering
 */

export class Desk {
  /** @param {Described} model @param {Answering} answering */
  constructor(model, answering) {
    this.model = model;
    this.answering = answering;
    this.sheet = new Sheet(model.shape[1], model.shape[0]);
    this.answer = new Answer(model);
    /** @type {Values} */
    this.blank = new Uint8Array(model.shape.reduce((product, side) => product * side)).fill(model.ink.background ?? 0);
    /** @type {Values} */
    this.pixels = this.blank;
    this.latest = 0; // the number of the newest answer: work for older ones stops
    this.busy = false; // whether a frame is requested, or an answer awaited
    this.again = false; // whether the sheet has changed since
    /** @type {Judged | null} */
    this.found = null;
    this.ended = false; // whether a stroke ended since the last answer
    this.start();
  }

  /** @param {boolean} lifted */
  changed(lifted) {
    this.ended ||= lifted;
    this.again = this.busy;
    if (this.busy) return;
    this.busy = true;
    requestAnimationFrame(async () => {
      try {
        await this.think();
        byId("trouble").textContent = "";
      } catch (error) {
        byId("trouble").textContent = error instanceof Error ? error.message : String(error);
      }
      this.busy = false;
      if (this.again) this.changed(false);
    });
  }

  /** @param {Sheet} sheet @returns {Shown} */
  shown(sheet) {
    const picture = sheet.pixels();
    return { picture, ...normalizePicture(...picture, this.model.ink) };
  }

  /** @returns {Promise<void>} */
  async think() {
    const number = ++this.latest;
    const { answer, sheet } = this;
    byId("undo", HTMLButtonElement).disabled = !sheet.before.length;
    byId("clear", HTMLButtonElement).disabled = sheet.empty;
    if (sheet.empty) {
      this.found = null;
      this.pixels = this.blank;
      answer.clear();
      answer.see(this.pixels);
      return;
    }
    const ended = this.ended;
    this.ended = false;
    const shown = this.shown(sheet);
    this.pixels = shown.pixels;
    answer.see(this.pixels);
    // Without waiting where the page itself answers: strokes are then answered as they are drawn.
    const judged = this.answering.judge(shown);
    const found = judged instanceof Promise ? await judged : judged;
    if (sheet.empty) return this.think();
    this.found = found;
    answer.update(found, ended);
    if (ended) await this.lookForSeveral(found);
    if (byId("looked", HTMLInputElement).checked && found.reason !== "no_drawing") this.overlay(number, found);
  }

  /** Say so where several drawings stand side by side. @param {Judged} whole */
  async lookForSeveral(whole) {
    const { strokes } = this.sheet;
    const drawings = strokes.length > 1 ? apart(strokes, PEN) : [];
    if (drawings.length < 2) return;
    const shown = drawings.map((own) => this.shown(this.sheet.with(own)));
    const parts = await Promise.all(shown.map((each) => this.answering.judge(each)));
    const leftOut = shown.some(({ pixels }) => pixels.every((value, i) => value === this.pixels[i]));
    const names = several(this.model.classes, whole, parts, leftOut);
    if (names && !this.again) this.answer.several(names, true);
  }

  /** @param {number} number @param {Judged} found */
  async overlay(number, { probabilities }) {
    const seen = this.pixels;
    const stop = () => number !== this.latest;
    const saliency = await this.answering.explain?.(seen, argmax(probabilities), stop);
    if (saliency && !stop() && byId("looked", HTMLInputElement).checked) this.answer.see(seen, saliency);
  }

  start() {
    const { sheet } = this;
    const pad = new Pad(byId("pad", HTMLCanvasElement), sheet, (lifted) => this.changed(lifted));
    /** @type {(change: () => void) => (event?: Event) => void} */
    const after = (change) => (event) => {
      event?.preventDefault();
      change();
      pad.paint();
      this.changed(true);
    };
    const undo = after(() => sheet.undo());
    const clear = after(() => sheet.clear());
    byId("undo").addEventListener("click", undo);
    byId("clear").addEventListener("click", clear);
    byId("looking").hidden = !this.answering.explain;
    byId("looked").addEventListener("change", () => this.changed(false));
    byId("open").addEventListener("click", () => byId("file").click());
    addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") undo(event);
      if (event.key === "Delete" || event.key === "Escape") clear(event);
    });
    /** @type {(sentence: string) => void} */
    const say = (sentence) => {
      byId("trouble").textContent = sentence;
    };
    startPictures(within(document, ".paper"), (picture) => after(() => sheet.show(picture))(), say);
    pad.paint();
    this.changed(false);
    startTheme();
  }
}
