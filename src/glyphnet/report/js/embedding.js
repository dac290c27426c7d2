// @ts-check
// Pointer and keyboard in the embedding: the current image is shown beside it, a click or Enter opens it.

import { byId, html, percent, within } from "../../pages/js/elements.js";
import { bytes, data, drawImage, images } from "./data.js";
import { namesOf } from "./gallery.js";
import { drawPlot, hueOf, placeOf } from "./plot.js";
import { openViewer } from "./viewer.js";
/** @import { Plot } from "./plot.js" */

const REACH = 14; // pixels around a point that belong to it
/**
 * The direction of a key: across and down.
 * @type {{ [key: string]: [number, number] }}
 */
const STEPS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

/** @type {() => void} */
export function startEmbedding() {
  if (!data.embedding) return;
  const pca = new Float32Array(bytes(data.embedding.pca));
  const tsne = data.embedding.tsne === null ? null : new Float32Array(bytes(data.embedding.tsne));
  const places = [...new Uint16Array(bytes(data.embedding.places))];
  const canvas = byId("embedding-plot", HTMLCanvasElement);
  const frame = /** @type {HTMLElement} */ (canvas.parentElement);
  /** @type {Plot} */
  const plot = { canvas, size: 0, points: tsne ?? pca, images: places, chosen: null, at: -1 };
  const redraw = () => drawPlot(plot);
  const fit = () => {
    const size = Math.floor(frame.clientWidth);
    if (size === plot.size || size === 0) return;
    plot.size = size;
    redraw();
  };
  /** @type {(k: number) => void} */
  const go = (k) => {
    if (k === plot.at) return;
    plot.at = k;
    redraw();
    describePoint(plot);
  };
  startKeys(plot, redraw);
  startKind(plot, { pca, tsne }, redraw);
  new ResizeObserver(fit).observe(frame);
  new MutationObserver(() => (paintKeys(), redraw())).observe(document.documentElement, {
    attributeFilter: ["data-theme"],
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (paintKeys(), redraw()));
  fit();
  describePoint(plot);

  const seen = () => [...places.keys()].filter((k) => plot.chosen === null || labelAt(plot, k) === plot.chosen);
  canvas.addEventListener("pointermove", (event) => go(nearestTo(plot, event, seen())));
  let before = -1;
  canvas.addEventListener("pointerdown", () => (before = plot.at));
  canvas.addEventListener("click", (event) => {
    const k = nearestTo(plot, event, seen());
    go(k);
    const byTouch = event instanceof PointerEvent && event.pointerType === "touch";
    const onlyShown = byTouch && k !== before; // a finger cannot hover: its second tap opens
    if (k >= 0 && !onlyShown) openViewer([places[k]], 0);
  });
  canvas.addEventListener("focus", () => {
    if (plot.at < 0 && canvas.matches(":focus-visible")) go(seen()[0] ?? -1);
  });
  canvas.addEventListener("keydown", (event) => {
    const all = seen();
    const next = keyed(event.key, plot, all);
    if (next !== null) {
      event.preventDefault();
      go(next);
    } else if (event.key === "Enter" && plot.at >= 0) {
      openViewer([places[plot.at]], 0);
    }
  });
}

/** @type {(plot: Plot, k: number) => number} */
function labelAt(plot, k) {
  return images.labels[plot.images[k]];
}

/** @type {(plot: Plot, k: number) => boolean} */
function isWrong(plot, k) {
  return labelAt(plot, k) !== images.predictions[plot.images[k]];
}

/**
 * The point under the pointer, or -1.
 * @type {(plot: Plot, event: MouseEvent, among: number[]) => number}
 */
function nearestTo({ canvas, points, size }, event, among) {
  const box = canvas.getBoundingClientRect();
  const scale = size / box.width;
  const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  let best = -1;
  let least = REACH ** 2;
  for (const k of among) {
    const [x, y] = placeOf(points, k, size);
    const distance = (x - px) ** 2 + (y - py) ** 2;
    if (distance < least) [best, least] = [k, distance];
  }
  return best;
}

/**
 * The point that a key moves to, or null for other keys.
 * @type {(key: string, plot: Plot, among: number[]) => number | null}
 */
function keyed(key, plot, among) {
  const { points, size, at } = plot;
  if (!among.length) return null;
  if (key === "Home") return among[0];
  if (key === "End") return among[among.length - 1];
  if (key === "m" || key === "M") {
    const wrong = among.filter((k) => isWrong(plot, k));
    return wrong.find((k) => k > at) ?? wrong[0] ?? null;
  }
  const step = STEPS[key];
  if (!step) return null;
  if (at < 0) return among[0];
  const [x0, y0] = placeOf(points, at, size);
  let best = at;
  let least = Infinity;
  for (const k of among) {
    const [dx, dy] = placeOf(points, k, size).map((value, axis) => value - [x0, y0][axis]);
    const [along, aside] = [dx * step[0] + dy * step[1], Math.abs(dx * step[1]) + Math.abs(dy * step[0])];
    // What lies ahead, near ones first, those off the line less: a quarter turn at most.
    if (k === at || along <= 0 || aside > 2 * along) continue;
    const far = along + 2 * aside;
    if (far < least) [best, least] = [k, far];
  }
  return best;
}

/** @type {(plot: Plot) => void} */
function describePoint({ images: places, at }) {
  const canvas = byId("embedding-image", HTMLCanvasElement);
  canvas.hidden = at < 0;
  if (at < 0) {
    byId("embedding-told").replaceChildren("No image is chosen.");
    return;
  }
  const i = places[at];
  drawImage(canvas, i);
  canvas.dataset.name = images.names[i];
  byId("embedding-told").replaceChildren(
    ...namesOf(images.labels[i], images.predictions[i]),
    html("span", { text: percent(images.confidence[i]) }),
    html("span", { class: "sure", text: images.names[i] }),
  );
}

/**
 * t-SNE or PCA.
 * @type {(plot: Plot, kinds: { pca: Float32Array, tsne: Float32Array | null }, redraw: () => void) => void}
 */
function startKind(plot, { pca, tsne }, redraw) {
  /** @type {(points: Float32Array) => void} */
  const show = (points) => {
    plot.points = points;
    byId("embedding-hint-tsne").hidden = points !== tsne;
    byId("embedding-hint-pca").hidden = points !== pca;
  };
  document.getElementById("embedding-kind")?.addEventListener("change", (event) => {
    const { value } = /** @type {HTMLInputElement} */ (event.target);
    show(value === "tsne" && tsne !== null ? tsne : pca);
    redraw();
  });
  show(tsne ?? pca);
}

/**
 * The choice of a class to highlight: coloured buttons where there are few classes, else a list.
 * @type {(plot: Plot, redraw: () => void) => void}
 */
function startKeys(plot, redraw) {
  /** @type {(label: number | null) => void} */
  const choose = (label) => {
    plot.chosen = label;
    redraw();
  };
  const there = data.classes.map((_, label) => label).filter((label) =>
    plot.images.some((i) => images.labels[i] === label)
  );
  if (hueOf(0) === null) {
    const list = html("select", { "aria-label": "Class" }, html("option", { value: "", text: "all classes" }));
    for (const label of there) list.append(html("option", { value: label, text: data.classes[label] }));
    list.addEventListener("change", () => choose(list.value === "" ? null : Number(list.value)));
    byId("embedding-classes").append(list);
    return;
  }
  const buttons = there.map((label) => {
    const button = html("button", {
      type: "button",
      "aria-pressed": "false",
      "data-label": label,
      title: data.classes[label],
    });
    button.append(html("i", {}), html("span", { text: data.classes[label] }));
    button.addEventListener("click", () => {
      const chosen = plot.chosen === label ? null : label;
      for (const each of buttons) each.setAttribute("aria-pressed", String(Number(each.dataset.label) === chosen));
      choose(chosen);
    });
    return button;
  });
  byId("embedding-classes").append(...buttons);
  paintKeys();
}

/** @type {() => void} */
function paintKeys() {
  for (const button of byId("embedding-classes").querySelectorAll("button")) {
    within(button, "i").style.background = hueOf(Number(button.dataset.label)) ?? "";
  }
}
