// @ts-check
// A live part: take pixels from a picture, the most important first, and watch the answer.

import { percent } from "../elements.js";
import { Random } from "../engine/random.js";
import { argmax, softmax } from "../network.js";
import { draw, short } from "./chart.js";
import { showWithMap } from "./map.js";
import { learned } from "./trained.js";
/** @import { Network } from "../network.js" */
/** @import { Part } from "./frame.js" */
/** @import { Place } from "./chart.js" */
/** @import { Learned } from "./trained.js" */

const ORDERS = ["the most supporting first", "at random", "the least supporting first"];

/** The probability of each class, for pixels from 0 to 255. @type {(network: Network, pixels: ArrayLike<number>) => number[]} */
export function answer(network, pixels) {
  return softmax(network.forward(Float32Array.from(pixels, (value) => value / 255)));
}

/**
 * How much each pixel supports a class: the fall of its logit, against the mean of all, when the pixel is made black (occlusion).
 * @type {(network: Network, pixels: ArrayLike<number>, target: number) => number[]}
 */
export function support(network, pixels, target) {
  /** @type {(x: Float32Array) => number} */
  const score = (x) => {
    const logits = network.forward(x);
    return logits[target] - logits.reduce((sum, each) => sum + each, 0) / logits.length;
  };
  const x = Float32Array.from(pixels, (value) => value / 255);
  const whole = score(x);
  return Array.from(x, (value, at) => {
    if (!value) return 0;
    const without = x.slice();
    without[at] = 0;
    return whole - score(without);
  });
}

/** The places of the ink in the order in which it is removed. @type {(pixels: ArrayLike<number>, supports: number[], order: number) => number[]} */
export function removalOrder(pixels, supports, order) {
  const ink = Array.from(supports.keys()).filter((at) => pixels[at] > 0);
  if (order === 1) return Array.from(new Random(5).order(ink.length), (k) => ink[k]);
  return ink.sort((a, b) => (order ? 1 : -1) * (supports[a] - supports[b]));
}

/** The pixels without the first of these places. @type {(pixels: ArrayLike<number>, places: number[], count: number) => Uint8Array} */
export function without(pixels, places, count) {
  const made = Uint8Array.from(pixels);
  for (const at of places.slice(0, count)) made[at] = 0;
  return made;
}

/** @type {(chances: number[], target: number, name: string, count: number, ink: number) => string} */
export function removalSentence(chances, target, name, count, ink) {
  const now = argmax(chances);
  const first = `With ${count} of ${ink} bright pixels removed the network gives “${name}” ${percent(chances[target])}`;
  return now === target
    ? `${first}: it still names it.`
    : `${first}, and says “${now}” with ${percent(chances[now])}: the answer is lost.`;
}

/** @type {Part<Learned>} */
export const removalPart = {
  name: "removal",
  title: "Remove what an explanation names",
  about: [
    "A network 64–32–10 learns 400 digits here, in your browser. Its map says for each pixel how much the right class's score falls when this pixel alone is made black: orange supports the class, blue opposes it. Then the pixels go, in the order that you choose.",
  ],
  ask: {
    question: "Which order loses the answer soonest?",
    choices: ["The most supporting first", "At random", "No difference: ink is ink"],
    right: 0,
    because:
      "If the map is worth anything, the pixels that it names matter most. A map for which random removal does as much harm explains nothing.",
  },
  controls: [
    {
      kind: "slider",
      name: "image",
      label: "Digit",
      values: Array.from({ length: 20 }, (_, k) => k),
      start: 3,
      text: (value) => String(value + 1),
    },
    { kind: "choice", name: "order", label: "Pixels go", texts: ORDERS, start: 0 },
    {
      kind: "slider",
      name: "share",
      label: "Bright pixels removed",
      values: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9],
      start: 0.2,
      text: (value) => percent(value, 0),
    },
  ],
  needs: learned,
  show(figure, { image, order, share }, say, { network, samples: { test, shape, classes } }) {
    const pixels = test.x.subarray(64 * image, 64 * image + 64);
    const target = test.labels[image];
    const supports = support(network, pixels, target);
    const orders = ORDERS.map((_, each) => removalOrder(pixels, supports, each));
    const places = orders[order];
    /** @type {(own: number[]) => Place[]} */
    const curve = (own) =>
      Array.from({ length: own.length + 1 }, (_, gone) => {
        return [gone / own.length, answer(network, without(pixels, own, gone))[target]];
      });
    const count = Math.round(share * places.length);
    const left = without(pixels, places, count);
    const shown = `The digit ${classes[target]} with ${count} pixels removed`;
    const chart = showWithMap(figure, shape, left, supports, [shown, "The map"]);
    draw(chart, "Probability of the right class while pixels are removed, in three orders", {
      x: [0, 1],
      y: [0, 1],
      xName: "bright pixels removed, in %",
      yName: `probability of ${classes[target]}`,
      xFormat: (tick) => short(100 * tick),
      yFormat: (tick) => percent(tick, 0),
      lines: [
        { style: "d", places: [[share, 0], [share, 1]] },
        ...ORDERS.map((name, other) => ({
          name: other === order ? `${name} (shown)` : name,
          style: /** @type {const} */ (["b", "c", "a"])[other],
          places: curve(orders[other]),
        })),
      ],
    });
    say(removalSentence(answer(network, left), target, classes[target], count, places.length));
  },
};
