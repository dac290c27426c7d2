// @ts-check
// The page's first module: the state, its controls, and the messages to and from the worker that trains.

import { byId, html, percent, thousands } from "../elements.js";
import { readModelFile } from "../engine/modelfile.js";
import { normalizePicture } from "../ink.js";
import { Pad } from "../pad.js";
import { Sheet } from "../sheet.js";
import { startTheme } from "../theme.js";
import { drawConfusion, drawCurves, drawMistakes, thinned } from "./charts.js";
import { readImages } from "./files.js";
import { paintPlane, palette } from "./paint.js";
import { Picture } from "./picture.js";
import { chosen, drawnSamples, heldSamples, ownPoints, PLANE, POINTS, pointSamples } from "./samples.js";
import {
  CHOICES,
  defaults,
  described,
  fromAddress,
  LIVE,
  MOST_LAYERS,
  ordered,
  resizedLayer,
  stateOf,
  stepsIn,
  toAddress,
} from "./state.js";
/** @import { Description } from "../engine/layer.js" */
/** @import { Moment } from "./charts.js" */
/** @import { Held, Samples } from "./samples.js" */
/** @import { State } from "./state.js" */
/** @import { Progress } from "./session.js" */

const OWN = { mine: "My drawings", mine_points: "My points", files: "My files" };

/** @type {Held[]} */
const held = JSON.parse(byId("sets").textContent ?? "[]");
const names = ["A", "B", "C"];
/** @type {{ pixels: Uint8Array, label: number }[]} */
const drawings = [];
/** @type {[number, number, number][]} */
const points = [];
let pen = 0; // the label of the next point
/** @type {import("./files.js").Opened | null} */
let given = null; // the images of the user's files
/** @type {Description[] | null} */
let weights = null; // of a model that was opened, for the next start

/** Whether a data set is one of points; null where there is none of this name. @type {(data: string) => boolean | null} */
function isPoints(data) {
  if (data in POINTS || data === "mine_points") return true;
  return data === "mine" || (data === "files" && given !== null) || held.some(({ name }) => name === data)
    ? false
    : null;
}

let state = fromAddress(location.hash, isPoints) ?? defaults("xor", true);
/** @type {Samples} */
let samples;
/** @type {import("./samples.js").Part} */
let train;
let playing = false;
let shownAddress = "";
let isSettled = false; // the latest report came after the training had paused
let isMixed = false; // the present weights do not follow from the state alone
let number = 0; // of the present training: reports of earlier ones may still come
/** @type {Moment[]} */
let losses = [];
/** @type {Moment[]} */
let accuracies = [];
/** @type {Progress | null} */
let latest = null;
/** @type {Map<string, Promise<Samples>>} */
const unpacked = new Map();

const worker = new Worker(
  URL.createObjectURL(new Blob([byId("worker").textContent ?? ""], { type: "text/javascript" })),
);
const picture = new Picture(byId("network"), ({ layer, to }) => {
  const layers = state.layers.flatMap((each, place) => {
    if (place !== layer) return [each];
    return to === null ? [] : [resizedLayer(each, to === "+" ? 1 : -1)];
  });
  change({ layers });
});
const sheet = new Sheet(1, 1);
const pad = new Pad(byId("pad", HTMLCanvasElement), sheet, () => requestAnimationFrame(look));

/** @type {(found: Held) => Promise<Samples>} */
function samplesOf(found) {
  const known = unpacked.get(found.name) ?? heldSamples(found);
  unpacked.set(found.name, known);
  return known;
}

/** Load the data that the state names. */
async function load() {
  const found = held.find(({ name }) => name === state.data);
  if (found) samples = await samplesOf(found);
  else if (state.data === "files" && given !== null) samples = given.samples;
  else if (state.data === "mine") samples = drawnSamples(drawings, names, [20, 20, 1]);
  else if (state.data === "mine_points") samples = ownPoints(points);
  else samples = pointSamples(state.data, state.size, state.seed);
}

/** Start over with the present state. */
async function restart() {
  await load();
  train = chosen(samples, state.size, state.noise, state.seed);
  [losses, accuracies, latest] = [[], [], null];
  [isMixed, isSettled] = [weights !== null, false];
  showAddress();
  showControls();
  picture.build(state, samples);
  const enough = train.labels.length > 0;
  if (enough) {
    worker.postMessage({
      type: "make",
      task: {
        number: ++number,
        shape: samples.shape,
        layers: weights ?? described(state, samples.isPoints ? 1 : samples.classes.length),
        classes: samples.classes.length,
        isPoints: samples.isPoints,
        train,
        test: samples.test,
        batch: state.batch,
        shift: state.shift,
        decay: state.decay,
        seed: state.seed,
        settings: settings(),
      },
    });
  }
  weights = null;
  for (const id of ["play", "step", "save"]) byId(id, HTMLButtonElement).disabled = !enough;
  if (!enough) setPlaying(false);
  drawCurves(byId("loss"), "Loss", [], false);
  drawCurves(byId("accuracy"), "Accuracy", [], true);
  showPlane(null);
  look();
}

/** @type {() => import("../engine/training.js").Settings} */
function settings() {
  const { rate, momentum, optimizer, l1, l2 } = state;
  return { rate, momentum, optimizer, l1, l2, loss: samples.isPoints ? "binary_cross_entropy" : "cross_entropy" };
}

/** @type {(part: Partial<State>) => void} */
function change(part) {
  const keeps = Object.keys(part).every((name) => LIVE.has(name));
  state = { ...state, ...part };
  if (part.layers) state.layers = ordered(part.layers);
  if (keeps) {
    worker.postMessage({ type: "change", settings: settings(), decay: state.decay });
    isMixed ||= playing || latest !== null && latest.steps > 0;
    showAddress();
    showControls();
  } else restart();
}

/** Train or pause; where `until` is given, it pauses by itself at that step. @type {(on: boolean, until?: number) => void} */
function setPlaying(on, until = Infinity) {
  [playing, isSettled] = [on, false];
  worker.postMessage({ type: on ? "play" : "pause", until });
  byId("play").textContent = on ? "❚❚ Pause" : "▶ Train";
  showAddress();
}

/** Put the state into the address; while the training pauses, also its step, if whoever opens the address gets there. */
function showAddress() {
  const isReached = isSettled && !isMixed && !(state.data in OWN);
  const address = toAddress(state, isReached ? latest?.steps : 0);
  if (address === shownAddress) return;
  shownAddress = address;
  history.replaceState(null, "", address);
}

/** Start with the present state, and train as far as an address says. @type {(address: string) => Promise<void>} */
async function open(address) {
  const steps = stepsIn(address);
  await restart();
  if (steps && train.labels.length) setPlaying(true, steps);
}

/** Let the network answer what is drawn, or the first test image. */
function look() {
  if (!samples || samples.isPoints) return;
  const size = samples.shape[0] * samples.shape[1] * samples.shape[2];
  const pixels = sheet.empty ? samples.test.x.slice(0, size) : drawn();
  if (pixels.length !== size) return;
  picture.showInput(pixels);
  worker.postMessage({ type: "look", x: pixels });
}

/** What is drawn, as pixels of the data set's images. @type {() => Uint8Array} */
function drawn() {
  const found = held.find(({ name }) => name === state.data);
  if (found) return Uint8Array.from(normalizePicture(...sheet.pixels(), found.ink).pixels);
  return fitted(samples.shape[0]);
}

/**
 * The drawing, light on dark, its bounding box as large as the image but for a margin, in the middle.
 * @type {(side: number) => Uint8Array}
 */
function fitted(side) {
  const { canvas, context } = sheet;
  const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
  let [top, bottom, left, right] = [height, -1, width, -1];
  for (let at = 0; at < width * height; at++) {
    if (data[4 * at] > 200) continue;
    const [row, column] = [Math.floor(at / width), at % width];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
    [left, right] = [Math.min(left, column), Math.max(right, column)];
  }
  const small = document.createElement("canvas");
  Object.assign(small, { width: side, height: side });
  const to = small.getContext("2d", { willReadFrequently: true });
  if (to === null || bottom < 0) return new Uint8Array(side * side);
  to.fillStyle = "#fff";
  to.fillRect(0, 0, side, side);
  const [wide, tall] = [right - left + 1, bottom - top + 1];
  const scale = (side - 4) / Math.max(wide, tall);
  to.imageSmoothingQuality = "high";
  const [w, h] = [wide * scale, tall * scale];
  to.drawImage(canvas, left, top, wide, tall, (side - w) / 2, (side - h) / 2, w, h);
  const { data: made } = to.getImageData(0, 0, side, side);
  return Uint8Array.from({ length: side * side }, (_, at) => 255 - made[4 * at]);
}

/** @type {(region: Float32Array | null) => void} */
function showPlane(region) {
  if (!samples.isPoints) return;
  paintPlane(byId("plane", HTMLCanvasElement), PLANE, region, train, samples.test, palette());
}

/** @type {(progress: Progress & { playing?: boolean }) => void} */
function show(progress) {
  [latest, isSettled] = [progress, !playing && !progress.playing];
  const { epoch, loss, accuracy, test, speed, images } = progress;
  if (images || losses.length === 0) {
    losses = thinned([...losses, { epoch, train: loss, test: test?.loss ?? null }]);
    accuracies = thinned([...accuracies, { epoch, train: accuracy, test: test?.accuracy ?? null }]);
  }
  byId("epoch").textContent = epoch.toFixed(epoch < 10 ? 1 : 0);
  byId("speed").textContent = images ? `${thousands(Math.round(speed))} images/s` : "";
  byId("score").textContent = test ? percent(test.accuracy) : "–";
  byId("scored").textContent = test
    ? `of ${thousands(test.predicted.length)} test ${samples.isPoints ? "points" : "images"} right`
    : "";
  picture.update(progress, PLANE, palette());
  drawCurves(byId("loss"), "Loss", losses, false);
  drawCurves(byId("accuracy"), "Accuracy", accuracies, true);
  if (test) drawConfusion(byId("confusion", HTMLTableElement), test.confusion, samples.classes);
  if (test && !samples.isPoints) drawMistakes(byId("mistakes"), samples, test.predicted);
  byId("said").textContent = said(progress.answer);
  showPlane(progress.region);
  showAddress();
}

/** What the network says of the drawing, or of the first test image. @type {(chances: number[] | null) => string} */
function said(chances) {
  if (chances === null || samples.isPoints) return "";
  const [first, second] = [...chances.keys()].sort((a, b) => chances[b] - chances[a]);
  const best = `“${samples.classes[first]}”, ${percent(chances[first])} sure`;
  const next = second === undefined ? "" : `, then “${samples.classes[second]}”, ${percent(chances[second])}`;
  return `${sheet.empty ? "Of the first test image it says" : "It says"} ${best}${next}.`;
}

/** @type {() => void} */
function showControls() {
  const data = byId("data", HTMLSelectElement);
  data.value = state.data;
  for (const name of Object.keys(CHOICES)) {
    const select = byId(name, HTMLSelectElement);
    select.value = String(/** @type {any} */ (state)[name]);
  }
  byId("shift").closest("label")?.toggleAttribute("hidden", samples.isPoints);
  byId("momentum", HTMLSelectElement).disabled = state.optimizer !== "sgd";
  byId("seed", HTMLInputElement).value = String(state.seed);
  for (const kind of ["c", "p"]) byId(`add-${kind}`).hidden = samples.isPoints;
  for (const kind of ["d", "c", "p"]) {
    byId(`add-${kind}`, HTMLButtonElement).disabled = state.layers.length >= MOST_LAYERS;
  }
  for (const id of ["save", "open-model"]) byId(id).hidden = samples.isPoints;
  byId("points").hidden = !samples.isPoints;
  byId("own-points").hidden = state.data !== "mine_points";
  byId("drawing").hidden = samples.isPoints;
  byId("own").hidden = state.data !== "mine";
  byId("mistaken").hidden = samples.isPoints;
  const read = state.data === "files" ? given?.note : held.find(({ name }) => name === state.data)?.source;
  byId("source").textContent = read ?? "";
  showOwn();
}

/** The classes of one's own drawings, each a button that adds what is on the pad. */
function showOwn() {
  byId("own-classes").replaceChildren(...names.map((name, label) => {
    const count = drawings.filter((drawing) => drawing.label === label).length;
    const button = html("button", { type: "button", text: `Add to ${name} (${count})` });
    button.addEventListener("click", () => {
      if (sheet.empty) return;
      drawings.push({ pixels: fitted(20), label });
      sheet.clear();
      pad.paint();
      restart();
    });
    return button;
  }));
}

/** Learn from the images in files. @type {(files: File[]) => Promise<void>} */
async function openImages(files) {
  if (!files.length) return;
  given = await readImages(files);
  const option = byId("data", HTMLSelectElement).querySelector("option[value=files]");
  if (option instanceof HTMLOptionElement) option.hidden = false;
  setPlaying(false);
  state = defaults("files", false);
  await restart();
}

/** Go on with a model file: its layers and weights, on the present data. @type {(file: File) => Promise<void>} */
async function openModel(file) {
  const model = readModelFile(new Uint8Array(await file.arrayBuffer()));
  const found = stateOf(state, model.layers);
  if (found === null) throw new Error(`${file.name}: its layers cannot be shown here.`);
  const [wanted, there] = [samples, model].map(({ shape, classes }) =>
    `${shape.join("×")}, classes ${classes.join(", ")}`
  );
  if (wanted !== there) throw new Error(`${file.name} is for ${there}; the data have ${wanted}.`.slice(0, 400));
  if (model.preprocessing.mode !== "unit_range") {
    throw new Error(`${file.name} reads pixels in another way (${model.preprocessing.mode}).`);
  }
  weights = model.layers;
  state = found;
  await restart();
}

/** Run what may fail for reasons that the user can change. @type {(work: () => Promise<void>) => Promise<void>} */
async function trying(work) {
  byId("trouble").textContent = "";
  try {
    await work();
  } catch (error) {
    byId("trouble").textContent = error instanceof Error ? error.message : String(error);
  }
}

/** Hand the user a file. @type {(name: string, bytes: Uint8Array<ArrayBuffer>) => void} */
function download(name, bytes) {
  const address = URL.createObjectURL(new Blob([bytes]));
  html("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function startFiles() {
  const images = byId("images", HTMLInputElement);
  const model = byId("model-file", HTMLInputElement);
  byId("open-images").addEventListener("click", () => images.click());
  byId("open-model").addEventListener("click", () => model.click());
  images.addEventListener("change", () => trying(() => openImages([...(images.files ?? [])])));
  model.addEventListener("change", () => {
    const file = model.files?.[0];
    if (file) trying(() => openModel(file));
    model.value = ""; // so that the same file can be opened again
  });
  byId("save").addEventListener("click", () => {
    worker.postMessage({ type: "save", classes: samples.classes, data: state.data, created: new Date().toISOString() });
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const files = [...(event.dataTransfer?.files ?? [])];
    const isModel = files.length === 1 && files[0].name.endsWith(".safetensors");
    trying(() => isModel ? openModel(files[0]) : openImages(files));
  });
}

/** What the sets in the page are called. @type {{ [name: string]: string }} */
const TITLES = { digits: "8×8 digits", mnist: "MNIST, a sample", "fashion-mnist": "Fashion-MNIST, a sample" };

/** The choice of data. */
function startData() {
  const data = byId("data", HTMLSelectElement);
  const images = html(
    "optgroup",
    { label: "Images" },
    ...held.map(({ name }) => html("option", { value: name, text: TITLES[name] ?? name })),
  );
  images.append(
    html("option", { value: "mine", text: OWN.mine }),
    html("option", { value: "files", text: OWN.files, hidden: "" }),
  );
  const plane = html(
    "optgroup",
    { label: "Points" },
    ...Object.entries(POINTS).map(([value, { name }]) => html("option", { value, text: name })),
    html("option", { value: "mine_points", text: OWN.mine_points }),
  );
  data.append(plane, images);
  data.addEventListener("change", () => {
    setPlaying(false);
    sheet.clear();
    pad.paint();
    state = defaults(data.value, isPoints(data.value) ?? true);
    restart();
  });
}

/** The settings of data, network and training. */
function startSettings() {
  for (const [name, { label, choices }] of Object.entries(CHOICES)) {
    const select = html("select", { id: name }, ...choices.map(([value, text]) => html("option", { value, text })));
    select.addEventListener("change", () => {
      const found = choices.find(([value]) => String(value) === select.value);
      if (found) change({ [name]: found[0] });
    });
    byId(["size", "noise", "shift"].includes(name) ? "data-settings" : "settings").append(
      html("label", {}, html("span", { text: label }), select),
    );
  }
  byId("seed").addEventListener("change", () => {
    const seed = Math.round(Number(byId("seed", HTMLInputElement).value));
    change({ seed: Number.isFinite(seed) && seed > 0 ? seed : 1 });
  });
  for (const [kind, layer] of Object.entries({ d: "d8", c: "c8", p: "p" })) {
    byId(`add-${kind}`).addEventListener("click", () => change({ layers: [...state.layers, layer] }));
  }
}

/** The buttons that train, and the address. */
function startDriving() {
  byId("play").addEventListener("click", () => setPlaying(!playing));
  byId("step").addEventListener("click", () => {
    setPlaying(false);
    worker.postMessage({ type: "step" });
  });
  byId("reset").addEventListener("click", () => {
    setPlaying(false);
    restart();
  });
  addEventListener("hashchange", () => {
    const found = fromAddress(location.hash, isPoints);
    if (found === null || toAddress(found, stepsIn(location.hash)) === shownAddress) return;
    setPlaying(false);
    state = found;
    open(location.hash);
  });
  addEventListener("resize", () => latest && show(latest));
}

/** Classes, drawings and points of one's own. */
function startDrawing() {
  byId("clear").addEventListener("click", () => {
    sheet.clear();
    pad.paint();
    look();
  });
  byId("add-class").addEventListener("click", () => {
    if (names.length < 10) names.push(String.fromCharCode(65 + names.length));
    restart();
  });
  byId("plane").addEventListener("pointerdown", (event) => {
    if (state.data !== "mine_points") return;
    const box = byId("plane").getBoundingClientRect();
    points.push([
      2.4 * (event.clientX - box.left) / box.width - 1.2,
      1.2 - 2.4 * (event.clientY - box.top) / box.height,
      pen,
    ]);
    restart();
  });
  for (const label of [0, 1]) byId(`pen-${label}`).addEventListener("change", () => pen = label);
  byId("forget").addEventListener("click", () => {
    points.length = 0;
    restart();
  });
}

worker.onmessage = (/** @type {MessageEvent} */ { data }) => {
  if (data.type === "progress") {
    if (data.number === number) show(data);
  } else if (data.type === "paused") setPlaying(false);
  else if (data.type === "file") download(`${state.data}.safetensors`, data.file);
  else {
    byId("trouble").textContent = data.text;
    setPlaying(false);
  }
};
startTheme();
byId("theme").addEventListener("click", () => latest && show(latest));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => latest && show(latest));
for (const start of [startData, startSettings, startDriving, startDrawing, startFiles]) start();
open(location.hash).then(() => document.documentElement.dataset.ready = "yes");
