// @ts-check
// The answer: its name, how sure it is, a bar for each class, and what the network saw.

import { byId, drawingContext, html, percent } from "./elements.js";
import { setOf } from "./foreign.js";
import { argmax } from "./network.js";
/** @import { Judged } from "./foreign.js" */
/** @import { Described } from "./weights.js" */

/** @typedef {{ row: HTMLElement, name: HTMLElement, fill: HTMLElement, much: HTMLElement }} Bar */

const MOST_BARS = 10;
const NONE_OF_THESE = "none of these";
/** @type {{ [count: number]: string }} */
const NUMBERS = { 2: "two", 3: "three", 4: "four" };
const SET_LEVELS = [0.95, 0.9, 0.8]; // the set of the first level that the model supports is shown

export class Answer {
  /** @param {Described} model */
  constructor(model) {
    this.model = model;
    // Few classes keep their places while one draws; of many the likeliest are shown, the first first.
    this.fixed = model.classes.length <= MOST_BARS;
    this.bars = Array.from({ length: Math.min(MOST_BARS, model.classes.length) }, () => this.bar());
    byId("bars").replaceChildren(...this.bars.map((bar) => bar.row));
    const longest = model.classes.reduce((most, name) => Math.max(most, name.length), 1);
    byId("bars").style.setProperty("--names", `${Math.min(9, 0.6 + 0.55 * longest)}rem`);
    this.clear();
  }

  /** @returns {Bar} */
  bar() {
    const [name, fill, much] = [
      html("span", { class: "name" }),
      html("div", { class: "fill" }),
      html("span", { class: "much" }),
    ];
    return { row: html("li", {}, name, html("div", { class: "rail" }, fill), much), name, fill, much };
  }

  clear() {
    byId("name").textContent = "The answer will stand here.";
    byId("sure").textContent = "";
    byId("heard").textContent = "";
    byId("set").textContent = "";
    byId("answer").className = "answer nothing";
    byId("seen-nothing").hidden = false;
    byId("seen-hint").hidden = true;
    this.show(this.model.classes.map(() => 0), -1);
    for (const { much } of this.bars) much.textContent = "";
  }

  /**
   * Show what `answerTo` gives; `spoken` says it to a screen reader as well.
   * @param {Judged} answer @param {boolean} spoken
   */
  update({ probabilities, reason }, spoken) {
    const best = argmax(probabilities);
    const { classes, reasons } = this.model;
    byId("seen-nothing").hidden = true;
    byId("seen-hint").hidden = false;
    const rejected = reason !== null;
    const sure = percent(probabilities[best]);
    byId("name").textContent = rejected ? NONE_OF_THESE : classes[best];
    const long = byId("name").textContent.length > 3;
    byId("answer").className = `answer${rejected ? " rejected" : ""}${long ? " long" : ""}`;
    const why = rejected ? `${reasons[reason][0].toUpperCase()}${reasons[reason].slice(1)}` : "";
    byId("sure").textContent = rejected ? `${why}. Most like “${classes[best]}”, ${sure}` : `${sure} sure`;
    byId("set").textContent = rejected ? "" : this.setOf(probabilities);
    if (spoken) byId("heard").textContent = `${byId("name").textContent}. ${byId("sure").textContent}.`;
    this.show(probabilities, rejected ? -1 : best);
  }

  /**
   * Say that several drawings stand side by side, and what each is taken for.
   * @param {string[]} names @param {boolean} spoken
   */
  several(names, spoken) {
    byId("name").textContent = `I see ${NUMBERS[names.length] ?? names.length}`;
    byId("answer").className = "answer rejected long";
    byId("sure").textContent = `${names.map((name) => `“${name}”`).join(" and ")}. Draw one at a time.`;
    byId("set").textContent = "";
    if (spoken) byId("heard").textContent = `${byId("name").textContent}. ${byId("sure").textContent}`;
    for (const { row } of this.bars) row.classList.remove("best");
  }

  /**
   * The classes among which the true one is, as a line; "" where the model gives no sets, or the answer is alone in it.
   * @param {number[]} probabilities @returns {string}
   */
  setOf(probabilities) {
    const { classes, conformal } = this.model;
    if (conformal === null) return "";
    const level = SET_LEVELS.find((each) => setOf(conformal, probabilities, each) !== null);
    if (level === undefined) return "";
    const labels = setOf(conformal, probabilities, level) ?? [];
    if (labels.length < 2) return ""; // it is the answer itself
    return `With ${percent(level, 0)} certainty one of: ${labels.map((label) => classes[label]).join(", ")}`;
  }

  /** @param {number[]} probabilities @param {number} best */
  show(probabilities, best) {
    const order = [...probabilities.keys()];
    if (!this.fixed) order.sort((a, b) => probabilities[b] - probabilities[a]);
    this.bars.forEach(({ row, name, fill, much }, place) => {
      const label = order[place];
      name.textContent = name.title = this.model.classes[label];
      fill.style.width = `${100 * probabilities[label]}%`;
      much.textContent = percent(probabilities[label]);
      row.classList.toggle("best", label === best);
    });
  }

  /**
   * The exact pixels that the network sees, and on them what speaks for the answer (blue) or against it (red).
   * @param {ArrayLike<number>} pixels @param {Float32Array | null} saliency
   */
  see(pixels, saliency = null) {
    const [height, width, channels] = this.model.shape;
    const canvas = byId("seen", HTMLCanvasElement);
    Object.assign(canvas, { width, height });
    const data = new ImageData(width, height);
    const [good, bad] = [colour("--speaks-for"), colour("--speaks-against")];
    for (let i = 0; i < width * height; i++) {
      const own = [0, 1, 2].map((c) => pixels[i * channels + (channels === 3 ? c : 0)]);
      const strength = saliency ? Math.min(1, Math.abs(saliency[i])) ** 0.8 * 0.85 : 0;
      const over = saliency && saliency[i] >= 0 ? good : bad;
      data.data.set(
        own.map((value, c) => (strength ? value * (1 - strength) * 0.8 + over[c] * strength : value)),
        4 * i,
      );
      data.data[4 * i + 3] = 255;
    }
    drawingContext(canvas).putImageData(data, 0, 0);
  }
}

/**
 * A colour of the style sheet as three numbers.
 * @type {(name: string) => number[]}
 */
function colour(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}
