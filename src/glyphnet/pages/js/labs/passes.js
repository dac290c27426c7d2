// @ts-check
// A live part: the forward and the backward pass of a network of two inputs, two hidden units and one output, number by number.

import { html } from "../elements.js";
import { sigmoid } from "../engine/activations.js";
import { draw, short, written } from "./chart.js";
/** @import { Part, Values } from "./frame.js" */
/** @import { Place } from "./chart.js" */

/** w: hidden unit by input; b: their biases; v: of the output by hidden unit; c: its bias. @typedef {{ w: number[][], b: number[], v: number[], c: number }} Weights */
/** All values of one pass forward and backward. @typedef {{ z: number[], h: number[], out: number, y: number, loss: number, delta: number, deltas: number[], dw: number[][], dv: number[] }} Passes */

/** @type {Weights} */
export const FIRST = { w: [[0.5, -0.4], [0.3, 0.8]], b: [0.1, -0.2], v: [0.7, -0.6], c: 0.2 };

/** Forward, the loss, and backward by the chain rule. @type {(weights: Weights, x: number[], target: number) => Passes} */
export function passes({ w, b, v, c }, x, target) {
  const z = w.map((row, j) => row[0] * x[0] + row[1] * x[1] + b[j]);
  const h = z.map(sigmoid);
  const out = v[0] * h[0] + v[1] * h[1] + c;
  const y = sigmoid(out);
  const loss = -target * Math.log(y) - (1 - target) * Math.log(1 - y);
  const delta = y - target;
  const deltas = h.map((each, j) => delta * v[j] * each * (1 - each));
  const dw = deltas.map((each) => x.map((input) => each * input));
  return { z, h, out, y, loss, delta, deltas, dw, dv: h.map((each) => delta * each) };
}

/** One step of gradient descent. @type {(weights: Weights, x: number[], target: number, rate: number) => Weights} */
export function stepped(weights, x, target, rate) {
  const { delta, deltas, dw, dv } = passes(weights, x, target);
  return {
    w: weights.w.map((row, j) => row.map((each, i) => each - rate * dw[j][i])),
    b: weights.b.map((each, j) => each - rate * deltas[j]),
    v: weights.v.map((each, j) => each - rate * dv[j]),
    c: weights.c - rate * delta,
  };
}

const SUB = "₀₁₂";
const INPUTS = [[0, 1], [1, 0], [1, 1], [0, 0]];

/** The lines of the calculation: a name, its formula, its numbers. @type {(weights: Weights, x: number[], target: number, rate: number) => [string, string, string][]} */
export function lines(weights, x, target, rate) {
  const { w, b, v, c } = weights;
  const p = passes(weights, x, target);
  const n = (/** @type {number} */ value) => written(value, 3);
  const units = [0, 1];
  return [
    ...units.flatMap((j) => /** @type {[string, string, string][]} */ ([
      [
        `Forward: sum of hidden unit ${j + 1}`,
        `z${SUB[j + 1]} = w${SUB[j + 1]}₁·x₁ + w${SUB[j + 1]}₂·x₂ + b${SUB[j + 1]}`,
        `${n(w[j][0])}·${x[0]} + ${n(w[j][1])}·${x[1]} + ${n(b[j])} = ${n(p.z[j])}`,
      ],
      [
        `Forward: its output`,
        `h${SUB[j + 1]} = σ(z${SUB[j + 1]}) = 1/(1 + e^−z${SUB[j + 1]})`,
        `σ(${n(p.z[j])}) = ${n(p.h[j])}`,
      ],
    ])),
    [
      "Forward: sum of the output unit",
      "z = v₁·h₁ + v₂·h₂ + c",
      `${n(v[0])}·${n(p.h[0])} + ${n(v[1])}·${n(p.h[1])} + ${n(c)} = ${n(p.out)}`,
    ],
    ["Forward: the answer", "y = σ(z)", `σ(${n(p.out)}) = ${n(p.y)}`],
    ["Loss", "J = −t·log y − (1 − t)·log(1 − y)", `t = ${target}: J = ${n(p.loss)}`],
    ["Backward: the output's error", "∂J/∂z = y − t", `${n(p.y)} − ${target} = ${n(p.delta)}`],
    ...units.map((j) => /** @type {[string, string, string]} */ (
      [
        `Backward: its weight from unit ${j + 1}`,
        `∂J/∂v${SUB[j + 1]} = ∂J/∂z · h${SUB[j + 1]}`,
        `${n(p.delta)}·${n(p.h[j])} = ${n(p.dv[j])}`,
      ]
    )),
    ["Backward: its bias", "∂J/∂c = ∂J/∂z", n(p.delta)],
    ...units.flatMap((j) => /** @type {[string, string, string][]} */ ([
      [
        `Backward: the error of hidden unit ${j + 1}, by the chain rule`,
        `∂J/∂z${SUB[j + 1]} = ∂J/∂z · v${SUB[j + 1]} · h${SUB[j + 1]}·(1 − h${SUB[j + 1]})`,
        `${n(p.delta)}·${n(v[j])}·${n(p.h[j])}·${n(1 - p.h[j])} = ${n(p.deltas[j])}`,
      ],
      [
        `Backward: its weights and bias`,
        `∂J/∂w${SUB[j + 1]}ᵢ = ∂J/∂z${SUB[j + 1]} · xᵢ, ∂J/∂b${SUB[j + 1]} = ∂J/∂z${SUB[j + 1]}`,
        `${n(p.dw[j][0])} and ${n(p.dw[j][1])}; ${n(p.deltas[j])}`,
      ],
    ])),
    [
      "Step: each number goes against its derivative",
      "w ← w − rate · ∂J/∂w",
      `v₁: ${n(v[0])} − ${short(rate)}·${n(p.dv[0])} = ${n(v[0] - rate * p.dv[0])}`,
    ],
  ];
}

const MOST_ROUNDS = 30;
const LINES = 16;

/** @type {(values: Values) => { weights: Weights, losses: number[] }} */
export function learned({ input, target, rate, rounds }) {
  let weights = FIRST;
  const losses = [passes(weights, INPUTS[input], target).loss];
  for (let round = 0; round < rounds; round++) {
    weights = stepped(weights, INPUTS[input], target, rate);
    losses.push(passes(weights, INPUTS[input], target).loss);
  }
  return { weights, losses };
}

/** @type {(values: Values) => string} */
export function passesSentence(values) {
  const { weights, losses } = learned(values);
  const { y, delta } = passes(weights, INPUTS[values.input], values.target);
  const way = Math.abs(delta) < 0.005
    ? "nearly right"
    : delta > 0
    ? "too high, so every step lowers it"
    : "too low, so every step raises it";
  return `After ${values.rounds} ${values.rounds === 1 ? "step" : "steps"} the answer is ${
    written(y)
  } and should be ${values.target}: ${way}. The loss is ${written(losses[values.rounds], 4)}; it was ${
    written(losses[0], 4)
  } at first.`;
}

/** @type {(losses: number[]) => Place[]} */
function places(losses) {
  return losses.map((loss, step) => [step, loss]);
}

/** @type {Part} */
export const passesPart = {
  name: "passes",
  title: "Forward and backward, with every number",
  about: [
    "Two inputs, two hidden sigmoid units, one output: nine numbers to learn. Forward computes the answer and its loss. Backward multiplies derivatives along the way back, which is the chain rule, and says for each number how the loss changes with it.",
  ],
  ask: {
    question: "An input x₁ is 0. What is the derivative of the loss by a weight that x₁ goes through?",
    choices: ["0", "As large as that of the bias", "It depends on the target"],
    right: 0,
    because: "∂J/∂w₁₁ = ∂J/∂z₁·x₁: what was multiplied by 0 had no part in the answer, and gets no blame.",
  },
  controls: [
    {
      kind: "choice",
      name: "input",
      label: "Inputs x₁, x₂",
      texts: INPUTS.map((x) => x.join(", ")),
      start: 0,
      reset: ["rounds", "line"],
    },
    { kind: "choice", name: "target", label: "Target t", texts: ["0", "1"], start: 1, reset: ["rounds", "line"] },
    { kind: "slider", name: "rate", label: "Learning rate", values: [0.1, 0.5, 1, 2, 5], start: 1, text: short },
    { kind: "button", name: "line", label: "Next line", most: LINES, start: 1 },
    { kind: "button", name: "rounds", label: "Take a step", most: MOST_ROUNDS },
  ],
  show(figure, values, say) {
    const { weights, losses } = learned(values);
    const all = lines(weights, INPUTS[values.input], values.target, values.rate).slice(0, values.line);
    const rows = all.map(([what, formula, numbers], place) =>
      html(
        "tr",
        place === all.length - 1 ? { class: "now" } : {},
        html("th", { scope: "row", text: what }),
        html("td", { text: formula }),
        html("td", { text: numbers }),
      )
    );
    const chart = html("div", {});
    const caption = html("caption", {
      text: `${values.line} of ${LINES} lines, with the weights after ${values.rounds} ${
        values.rounds === 1 ? "step" : "steps"
      }`,
    });
    const table = html("table", { class: "prose fold" }, caption, ...rows);
    const region = { class: "scroll", tabindex: 0, role: "region", "aria-label": "The calculation" };
    figure.replaceChildren(html("div", region, table), chart);
    draw(chart, "Loss by step", {
      x: [0, MOST_ROUNDS],
      y: [0, Math.max(1.2, ...losses)],
      xName: "steps",
      yName: "loss J",
      lines: [
        { name: "to come", style: "d", places: places(learned({ ...values, rounds: MOST_ROUNDS }).losses) },
        { name: "steps taken", style: "a", places: places(losses) },
      ],
      dots: [{ style: "a", places: places(losses), size: 3 }],
    });
    say(passesSentence(values));
  },
};
