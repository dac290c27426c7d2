// The embedding under pointer and keyboard: the image at hand is shown beside it, a click or Enter shows it large.

import { byId, html, percent } from "../../pages/js/elements.js";
import { bytes, data, drawImage, images } from "./data.js";
import { namesOf } from "./gallery.js";
import { drawPlot, hueOf, placeOf } from "./plot.js";
import { openViewer } from "./viewer.js";

const REACH = 14; // pixels from a point that still mean it

const embedding = data.embedding && {
  images: [...new Uint16Array(bytes(data.embedding.places))],
  pca: new Float32Array(bytes(data.embedding.pca)),
  tsne: data.embedding.tsne && new Float32Array(bytes(data.embedding.tsne)),
};

export function startEmbedding() {
  if (!embedding) return;
  const canvas = byId("embedding-plot");
  const state = { canvas, size: 0, points: embedding.tsne ?? embedding.pca, images: embedding.images, chosen: null, at: -1 };
  const redraw = () => drawPlot(state);
  const fit = () => {
    const size = Math.floor(canvas.parentElement.clientWidth);
    if (size === state.size || size === 0) return;
    state.size = size;
    redraw();
  };
  const go = (k) => {
    if (k === state.at) return;
    state.at = k;
    redraw();
    tellPoint(k);
  };
  startKeys(state, redraw);
  startKind(state, redraw);
  new ResizeObserver(fit).observe(canvas.parentElement);
  new MutationObserver(() => (paintKeys(), redraw())).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (paintKeys(), redraw()));
  fit();
  tellPoint(-1);

  const seen = () => [...embedding.images.keys()].filter((k) => state.chosen === null || labelAt(k) === state.chosen);
  canvas.addEventListener("pointermove", (event) => go(nearestTo(state, event, seen())));
  let before = -1;
  canvas.addEventListener("pointerdown", () => (before = state.at));
  canvas.addEventListener("click", (event) => {
    const k = nearestTo(state, event, seen());
    go(k);
    const onlyShown = event.pointerType === "touch" && k !== before; // a finger cannot hover: its second tap opens
    if (k >= 0 && !onlyShown) openViewer([embedding.images[k]], 0);
  });
  canvas.addEventListener("focus", () => {
    if (state.at < 0 && canvas.matches(":focus-visible")) go(seen()[0] ?? -1);
  });
  canvas.addEventListener("keydown", (event) => {
    const all = seen();
    const next = keyed(event.key, state, all);
    if (next !== null) {
      event.preventDefault();
      go(next);
    } else if (event.key === "Enter" && state.at >= 0) {
      openViewer([embedding.images[state.at]], 0);
    }
  });
}

function labelAt(k) {
  return images.labels[embedding.images[k]];
}

function isWrong(k) {
  return labelAt(k) !== images.predictions[embedding.images[k]];
}

/** The point under the pointer, or -1. */
function nearestTo(state, event, among) {
  const box = state.canvas.getBoundingClientRect();
  const scale = state.size / box.width;
  const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  let best = -1;
  let least = REACH ** 2;
  for (const k of among) {
    const [x, y] = placeOf(state.points, k, state.size);
    const distance = (x - px) ** 2 + (y - py) ** 2;
    if (distance < least) [best, least] = [k, distance];
  }
  return best;
}

/** The point that a key leads to, or null for other keys. */
function keyed(key, { points, size, at }, among) {
  if (!among.length) return null;
  if (key === "Home") return among[0];
  if (key === "End") return among[among.length - 1];
  if (key === "m" || key === "M") {
    const wrong = among.filter(isWrong);
    return wrong.find((k) => k > at) ?? wrong[0] ?? null;
  }
  const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[key];
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

function tellPoint(k) {
  const canvas = byId("embedding-image");
  canvas.hidden = k < 0;
  if (k < 0) {
    byId("embedding-told").replaceChildren("No image is chosen.");
    return;
  }
  const i = embedding.images[k];
  drawImage(canvas, i);
  canvas.dataset.name = images.names[i];
  byId("embedding-told").replaceChildren(
    ...namesOf(images.labels[i], images.predictions[i]),
    html("span", { text: percent(images.confidence[i]) }),
    html("span", { class: "sure", text: images.names[i] }),
  );
}

/** t-SNE or PCA. */
function startKind(state, redraw) {
  byId("embedding-kind")?.addEventListener("change", (event) => {
    state.points = embedding[event.target.value];
    byId("embedding-hint-tsne").hidden = event.target.value !== "tsne";
    byId("embedding-hint-pca").hidden = event.target.value !== "pca";
    redraw();
  });
  const only = embedding.tsne ? "tsne" : "pca";
  byId("embedding-hint-tsne").hidden = only !== "tsne";
  byId("embedding-hint-pca").hidden = only !== "pca";
}

/** The classes, to highlight one: buttons in their colours where there are few, a list where there are many. */
function startKeys(state, redraw) {
  const choose = (label) => {
    state.chosen = label;
    redraw();
  };
  const there = data.classes.map((_, label) => label).filter((label) => embedding.images.some((i) => images.labels[i] === label));
  if (hueOf(0) === null) {
    const list = html("select", { "aria-label": "Class" }, html("option", { value: "", text: "all classes" }));
    for (const label of there) list.append(html("option", { value: label, text: data.classes[label] }));
    list.addEventListener("change", () => choose(list.value === "" ? null : Number(list.value)));
    byId("embedding-classes").append(list);
    return;
  }
  const buttons = there.map((label) => {
    const button = html("button", { type: "button", "aria-pressed": "false", "data-label": label, title: data.classes[label] });
    button.append(html("i", {}), html("span", { text: data.classes[label] }));
    button.addEventListener("click", () => {
      const chosen = state.chosen === label ? null : label;
      for (const each of buttons) each.setAttribute("aria-pressed", String(Number(each.dataset.label) === chosen));
      choose(chosen);
    });
    return button;
  });
  byId("embedding-classes").append(...buttons);
  paintKeys();
}

function paintKeys() {
  for (const button of byId("embedding-classes").querySelectorAll("button")) {
    button.firstChild.style.background = hueOf(Number(button.dataset.label));
  }
}
