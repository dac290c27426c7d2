// @ts-check
// What the page shows is one flat state, which the address holds: a teacher links to a moment.

/**
 * layers: from the input to the output, "d8" for 8 dense units, "c8" for a 3×3 convolution with 8 channels, "p" for pooling;
 * size: training images; noise: share of them with a wrong label; shift: pixels that each is moved by at random.
 * @typedef {{
 *   data: string, layers: string[], activation: string, optimizer: "sgd" | "adam", rate: number, momentum: number,
 *   batch: number, decay: number, dropout: number, l1: number, l2: number, size: number, noise: number, shift: number,
 *   seed: number,
 * }} State
 */
/** A choice: its value and how it is called. @typedef {[value: string | number, name: string]} Choice */

/** The settings that are chosen from a list, in the order of the page. @type {{ [name: string]: { label: string, choices: Choice[] } }} */
export const CHOICES = {
  size: {
    label: "Training samples",
    choices: [...[20, 50, 100, 200, 500, 1000].map((n) => /** @type {Choice} */ ([n, String(n)])), [1e6, "all"]],
  },
  noise: { label: "Wrong labels", choices: [0, 0.1, 0.2, 0.4].map((n) => [n, `${100 * n} %`]) },
  activation: {
    label: "Activation",
    choices: [["relu", "ReLU"], ["tanh", "tanh"], ["sigmoid", "sigmoid"], ["leaky_relu", "leaky ReLU"]],
  },
  optimizer: { label: "Optimizer", choices: [["adam", "Adam"], ["sgd", "SGD"]] },
  rate: { label: "Learning rate", choices: [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1].map((n) => [n, String(n)]) },
  momentum: { label: "Momentum (SGD)", choices: [0, 0.5, 0.9, 0.99].map((n) => [n, String(n)]) },
  batch: { label: "Batch size", choices: [1, 4, 10, 32, 128].map((n) => [n, String(n)]) },
  decay: { label: "Decay of the rate", choices: [0, 0.001, 0.01, 0.1].map((n) => [n, n ? String(n) : "none"]) },
  dropout: { label: "Dropout", choices: [0, 0.1, 0.2, 0.5].map((n) => [n, n ? String(n) : "none"]) },
  l1: { label: "L1 penalty", choices: [0, 0.0001, 0.001, 0.01].map((n) => [n, n ? String(n) : "none"]) },
  l2: { label: "L2 penalty", choices: [0, 0.0001, 0.001, 0.01, 0.1].map((n) => [n, n ? String(n) : "none"]) },
  shift: { label: "Random shift", choices: [0, 1, 2].map((n) => [n, n ? `${n} pixel${n > 1 ? "s" : ""}` : "none"]) },
};

/** The settings of which a change keeps the weights. */
export const LIVE = new Set(["rate", "momentum", "decay", "l1", "l2"]);

export const MOST_LAYERS = 6;
const MOST_UNITS = { d: 128, c: 32 };

/** @type {State} */
const POINTS = {
  data: "xor",
  layers: ["d4"],
  activation: "tanh",
  optimizer: "adam",
  rate: 0.03,
  momentum: 0.9,
  batch: 10,
  decay: 0,
  dropout: 0,
  l1: 0,
  l2: 0,
  size: 200,
  noise: 0,
  shift: 0,
  seed: 1,
};

/**
 * What a data set starts with: settings that solve it.
 * @type {(data: string, isPoints: boolean) => State}
 */
export function defaults(data, isPoints) {
  if (!isPoints) {
    const more = { batch: data === "mine" ? 4 : 32, size: 1e6 };
    const layers = data === "digits" ? ["c32", "p"] : ["c8", "p", "c16", "p"];
    return { ...POINTS, data, layers, activation: "relu", rate: data === "digits" ? 0.01 : 0.003, shift: 1, ...more };
  }
  /** @type {{ [data: string]: string[] }} */
  const layers = {
    xor: ["d4"],
    moons: ["d6"],
    circles: ["d4"],
    spirals: ["d12", "d8"],
    pulse: ["d2"],
    mine_points: ["d6"],
  };
  return { ...POINTS, data, layers: layers[data] ?? ["d6"] };
}

/** The state as an address, with the steps that have been trained from it. @type {(state: State, steps?: number) => string} */
export function toAddress(state, steps = 0) {
  const words = Object.entries(state).map(([name, value]) =>
    `${name}=${Array.isArray(value) ? value.join(".") : value}`
  );
  if (steps) words.push(`steps=${steps}`);
  return `#${words.join("&")}`;
}

/** The words of an address. @type {(address: string) => Map<string, string>} */
function wordsOf(address) {
  return new Map(
    address.replace(/^#/, "").split("&").map((word) => /** @type {[string, string]} */ (word.split("="))),
  );
}

/** How many steps an address wants to be trained; 0 where it does not say. @type {(address: string) => number} */
export function stepsIn(address) {
  const steps = Number(wordsOf(address).get("steps"));
  return Number.isInteger(steps) && steps > 0 ? steps : 0;
}

/**
 * The state in an address; what it does not say, or says wrongly, is that of the data set's start. null where it names no
 * known data set.
 * @type {(address: string, isPoints: (data: string) => boolean | null) => State | null}
 */
export function fromAddress(address, isPoints) {
  const words = wordsOf(address);
  const data = words.get("data") ?? "";
  const points = isPoints(data);
  if (points === null) return null;
  /** @type {any} */
  const state = defaults(data, points);
  for (const [name, { choices }] of Object.entries(CHOICES)) {
    const found = choices.find(([value]) => String(value) === words.get(name));
    if (found) state[name] = found[0];
  }
  const seed = Number(words.get("seed"));
  if (Number.isInteger(seed) && seed > 0) state.seed = seed;
  const layers = words.get("layers");
  if (layers !== undefined) {
    state.layers = layers.split(".").filter((each) => isLayer(each, points)).slice(0, MOST_LAYERS);
  }
  return state;
}

/** @type {(layer: string, points: boolean) => boolean} */
function isLayer(layer, points) {
  const [kind, units] = [layer[0], Number(layer.slice(1))];
  if (layer === "p") return !points;
  return (kind === "d" || (kind === "c" && !points)) && Number.isInteger(units) && units >= 1 &&
    units <= MOST_UNITS[kind];
}

/** More or fewer units of a layer: 1 to 8 one by one, then by doubling. @type {(layer: string, step: 1 | -1) => string} */
export function resizedLayer(layer, step) {
  const kind = /** @type {"d" | "c"} */ (layer[0]);
  const units = Number(layer.slice(1));
  const next = units + step <= 8
    ? units + step
    : step > 0
    ? 2 ** Math.ceil(Math.log2(units + 1))
    : 2 ** Math.floor(Math.log2(units - 1));
  return `${kind}${Math.min(MOST_UNITS[kind], Math.max(1, next))}`;
}

/**
 * The layers as the engine takes them, the output included.
 * @type {(state: State, outputs: number) => import("../engine/layer.js").Description[]}
 */
export function described({ layers, activation, dropout }, outputs) {
  const made = [];
  let flat = false;
  for (const layer of layers) {
    const units = Number(layer.slice(1));
    if (layer === "p") {
      made.push({ type: "maxPool", size: 2 });
      continue;
    }
    if (layer[0] === "c") made.push({ type: "convolution", kernel: 3, padding: 1, outputs: units });
    else {
      if (!flat) made.push({ type: "flatten" });
      flat = true;
      made.push({ type: "dense", outputs: units });
    }
    made.push({ type: "activation", name: activation });
    if (layer[0] === "d" && dropout) made.push({ type: "dropout", rate: dropout });
  }
  if (!flat) made.push({ type: "flatten" });
  return [...made, { type: "dense", outputs }];
}

/** Convolutions and pooling come before dense layers: the layers in a possible order. @type {(layers: string[]) => string[]} */
export function ordered(layers) {
  return [...layers.filter((each) => each[0] !== "d"), ...layers.filter((each) => each[0] === "d")];
}

/**
 * The state whose network has these layers; null where the page cannot show them.
 * @type {(state: State, layers: import("../engine/layer.js").Description[]) => State | null}
 */
export function stateOf(state, layers) {
  const names = new Set(layers.filter(({ type }) => type === "activation").map(({ name }) => name));
  const rates = new Set(layers.filter(({ type }) => type === "dropout").map(({ rate }) => rate));
  const words = layers.slice(0, -1).flatMap(({ type, outputs }) => {
    const kind = { dense: "d", convolution: "c", maxPool: "p" }[type];
    return kind === undefined ? [] : [kind === "p" ? kind : `${kind}${outputs}`];
  });
  /** @type {State} */
  const made = { ...state, layers: words, activation: [...names][0] ?? state.activation, dropout: [...rates][0] ?? 0 };
  /** @type {(list: import("../engine/layer.js").Description[]) => import("../engine/layer.js").Description[]} */
  const shown = (list) => list.filter(({ type }) => type !== "flatten"); // Python leaves it out where it is understood
  const [again, given] = [described(made, layers[layers.length - 1].outputs), layers].map(shown);
  const isSame = again.length === given.length &&
    again.every((layer, place) => Object.entries(layer).every(([name, value]) => given[place][name] === value));
  return isSame && words.length <= MOST_LAYERS ? made : null;
}
