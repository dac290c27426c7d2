// @ts-check
// The network as a picture: a column for each layer, a small picture for each unit, and the weights between them.

import { html, svg } from "../elements.js";
import { paintPixels, paintValues } from "./paint.js";
/** @import { Palette } from "./paint.js" */
/** @import { Progress } from "./session.js" */
/** @import { State } from "./state.js" */
/** @import { Samples } from "./samples.js" */

const MOST_SHOWN = 12; // units of a layer
const MOST_LINKS = 150;

/** What one unit is called. @type {(layer: string, unit: number) => string} */
function unitName(layer, unit) {
  return `${layer[0] === "c" ? "channel" : layer[0] === "p" ? "pooled channel" : "unit"} ${unit + 1}`;
}

export class Picture {
  /** @param {HTMLElement} root @param {(change: { layer: number, to: string | null }) => void} changed */
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    /** @type {HTMLCanvasElement[][]} */
    this.cells = [];
    this.input = html("canvas", { role: "img", "aria-label": "The input" });
  }

  /** Make the columns. @param {State} state @param {Samples} samples */
  build({ layers }, samples) {
    this.samples = samples;
    this.layers = layers;
    const outputs = samples.isPoints ? 1 : samples.classes.length;
    const input = html(
      "section",
      { class: "layer input", "aria-label": "Input" },
      html("h3", { text: samples.isPoints ? "x, y" : `${samples.shape[0]}×${samples.shape[1]}` }),
      ...(samples.isPoints ? [] : [this.input]),
    );
    this.cells = [...layers, `d${outputs}`].map((layer, number) => {
      const units = layer === "p" ? this.channelsBefore(number) : Number(layer.slice(1));
      return Array.from(
        { length: Math.min(MOST_SHOWN, units) },
        (_, unit) =>
          html("canvas", {
            class: "unit",
            role: "img",
            title: unitName(layer, unit),
            "aria-label": unitName(layer, unit),
          }),
      );
    });
    const columns = layers.map((layer, number) => this.column(layer, number));
    const last = html("section", { class: "layer output", "aria-label": "Output" }, html("h3", { text: "Output" }));
    if (samples.isPoints) last.append(this.cells[layers.length][0]);
    else {
      const bars = samples.classes.map(() => html("i", {}));
      this.bars = bars;
      last.append(
        html(
          "ol",
          { class: "answers" },
          ...samples.classes.map((name, label) =>
            html("li", {}, html("b", { text: name }), html("span", { class: "rail" }, bars[label]))
          ),
        ),
      );
    }
    this.wires = svg("svg", { class: "wires", "aria-hidden": "true" });
    this.root.replaceChildren(this.wires, input, ...columns, last);
  }

  /** @param {number} number */
  channelsBefore(number) {
    const before = (this.layers ?? []).slice(0, number).reverse().find((layer) => layer[0] === "c");
    return before ? Number(before.slice(1)) : this.samples?.shape[2] ?? 1;
  }

  /** @param {string} layer @param {number} number */
  column(layer, number) {
    const kind = { d: "Dense", c: "Convolution", p: "Pooling" }[layer[0]] ?? "";
    const count = layer === "p" ? "" : layer.slice(1);
    /** @type {(text: string, label: string, to: string | null) => HTMLButtonElement} */
    const button = (text, label, to) => {
      const made = html("button", {
        type: "button",
        text,
        "aria-label": `${label}, layer ${number + 1}`,
        title: label,
      });
      made.addEventListener("click", () => this.changed({ layer: number, to }));
      return made;
    };
    const tools = html("div", { class: "tools" });
    if (layer !== "p") {
      tools.append(button("−", "Fewer units", "-"), html("output", { text: count }), button("+", "More units", "+"));
    }
    const hidden = Number(count) - MOST_SHOWN;
    return html(
      "section",
      { class: "layer", "aria-label": `${kind} ${count}` },
      html("h3", {}, kind, button("×", "Remove", null)),
      tools,
      html("div", { class: "units" }, ...this.cells[number]),
      ...(hidden > 0 ? [html("p", { class: "hint", text: `and ${hidden} more` })] : []),
    );
  }

  /** Show what the units compute. @param {Progress} progress @param {number} side @param {Palette} colours */
  update({ units, links, answer }, side, colours) {
    units.forEach(({ values, shape: [height, width, channels], each }, number) => {
      const isLast = number === units.length - 1;
      const isPlane = each > 1;
      const most = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-6);
      const scale = isPlane && !isLast ? Math.max(1, most) : most;
      const weights = links[number];
      const fromImage = !isPlane && number === 0 && height * width === 1 ? weights : null;
      this.cells[number]?.forEach((canvas, unit) => {
        if (isPlane) paintValues(canvas, side, side, (at) => values[unit * each + at] / scale, colours);
        else if (fromImage !== null) this.paintWeights(canvas, fromImage, channels, unit, colours);
        else paintValues(canvas, width, height, (at) => values[at * channels + unit] / scale, colours);
      });
    });
    if (answer !== null) {
      const best = answer.indexOf(Math.max(...answer));
      this.bars?.forEach((fill, label) => {
        fill.style.width = `${100 * answer[label]}%`;
        fill.classList.toggle("best", label === best);
      });
    }
    this.connect(links, colours);
  }

  /** @param {HTMLCanvasElement} canvas @param {Float32Array} weights @param {number} units @param {number} unit @param {Palette} colours */
  paintWeights(canvas, weights, units, unit, colours) {
    const [height, width, channels] = this.samples?.shape ?? [1, 1, 1];
    let most = 1e-6;
    for (let at = unit; at < weights.length; at += units) most = Math.max(most, Math.abs(weights[at]));
    paintValues(canvas, width, height, (at) => weights[at * channels * units + unit] / most, colours);
  }

  /** Draw the weights as lines, where they are few. @param {(Float32Array | null)[]} links @param {Palette} colours */
  connect(links, { low, high }) {
    const wires = this.wires;
    if (wires === undefined || !this.samples?.isPoints) return;
    const frame = this.root.getBoundingClientRect();
    const [width, height] = [this.root.scrollWidth, this.root.scrollHeight];
    wires.setAttribute("viewBox", `0 0 ${width} ${height}`);
    Object.assign(wires.style, { width: `${width}px`, height: `${height}px` });
    /** @type {(element: Element, isRight: boolean) => [number, number]} */
    const end = (element, isRight) => {
      const box = element.getBoundingClientRect();
      const x = (isRight ? box.right : box.left) - frame.left + this.root.scrollLeft;
      return [x, box.top + box.height / 2 - frame.top];
    };
    const input = this.root.querySelector(".input h3");
    const lines = [];
    for (const [number, weights] of links.entries()) {
      const to = this.cells[number];
      const from = number ? this.cells[number - 1] : [];
      const outputs = number < (this.layers?.length ?? 0) ? Number(this.layers?.[number].slice(1)) : 1;
      if (weights === null || !to || from.length * to.length > MOST_LINKS) continue;
      const inputs = weights.length / outputs;
      const most = weights.reduce((largest, weight) => Math.max(largest, Math.abs(weight)), 1e-6);
      for (let i = 0; i < (number ? from.length : inputs); i++) {
        const source = number ? from[i] : input;
        if (!source) continue;
        const [x1, y1] = end(source, true);
        for (const [unit, target] of to.entries()) {
          const weight = weights[i * outputs + unit] / most;
          const [x2, y2] = end(target, false);
          const y = number ? y1 : y1 + 10 * (i - 0.5);
          lines.push(svg("path", {
            d: `M${x1} ${y} C${(x1 + x2) / 2} ${y} ${(x1 + x2) / 2} ${y2} ${x2} ${y2}`,
            stroke: `rgb(${(weight < 0 ? low : high).join(" ")})`,
            "stroke-width": (0.3 + 4 * Math.abs(weight)).toFixed(2),
          }));
        }
      }
    }
    wires.replaceChildren(...lines);
  }

  /** @param {ArrayLike<number>} pixels */
  showInput(pixels) {
    if (this.samples && !this.samples.isPoints) paintPixels(this.input, this.samples.shape, pixels);
  }
}
