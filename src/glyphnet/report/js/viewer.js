// @ts-check
// One image large, with its probabilities as bars; the arrow keys go through the images of the gallery.

import { byId, html, percent, thousands } from "../../pages/js/elements.js";
import { data, drawImage, images } from "./data.js";
import { drawSaliency, hasSaliency, saliencyLegend } from "./saliency.js";

/** @type {{ list: number[], at: number }} */
let viewed = { list: [], at: 0 };
/** @type {string} */
let looks = "image"; // or "both", or "saliency"

/** @type {(list: number[], at: number) => void} */
export function openViewer(list, at) {
  viewed = { list, at };
  showViewed();
  byId("viewer", HTMLDialogElement).showModal();
}

/** @type {() => void} */
function showViewed() {
  const i = viewed.list[viewed.at];
  const [label, guess] = [images.labels[i], images.predictions[i]];
  const [truth, taken] = [data.classes[label], data.classes[guess]];
  byId("viewer-title").textContent = label === guess ? `“${truth}”, named rightly` : `“${truth}” taken for “${taken}”`;
  drawViewed(i, taken);
  byId("viewer-bars").replaceChildren(...bars(i, label, guess));
  byId("viewer-about").replaceChildren(...about([
    ["File", images.names[i]],
    ["True", truth],
    ["Loss", images.loss[i].toFixed(3)],
  ]));
  byId("viewer-place").textContent = `${thousands(viewed.at + 1)} of ${thousands(viewed.list.length)}`;
  byId("viewer-before", HTMLButtonElement).disabled = viewed.at === 0;
  byId("viewer-after", HTMLButtonElement).disabled = viewed.at === viewed.list.length - 1;
}

/** @type {(i: number, taken: string) => void} */
function drawViewed(i, taken) {
  const canvas = byId("viewer-image", HTMLCanvasElement);
  /** @type {{ [looks: string]: string }} */
  const told = {
    image: "Image",
    both: "What the network looked at in the image",
    saliency: "What the network looked at in",
  };
  const now = hasSaliency(i) ? looks : "image";
  if (now === "image") drawImage(canvas, i);
  else drawSaliency(canvas, i, now === "both");
  canvas.setAttribute("aria-label", `${told[now]} ${images.names[i]}`);
  if (!data.saliency) return;
  byId("viewer-looks", HTMLFieldSetElement).disabled = !hasSaliency(i);
  const silent = now === "image" && hasSaliency(i);
  byId("viewer-legend").replaceChildren(...(silent ? [] : saliencyLegend(i, taken)));
}

/** @type {(i: number, label: number, guess: number) => HTMLElement[]} */
function bars(i, label, guess) {
  /** @type {[label: number, probability: number][]} */
  const rows = [];
  for (let k = 0; k < images.bars; k++) {
    const place = i * images.bars + k;
    // The first is known to more digits. None is exactly 0, it was only rounded so.
    const probability = k === 0 ? images.confidence[i] : Math.max(images.topProbabilities[place] / 65535, 1e-9);
    rows.push([images.topClasses[place], probability]);
  }
  // The true class may be below the most probable ones: its probability is in the loss.
  if (!rows.some(([name]) => name === label)) rows.push([label, Math.exp(-images.loss[i])]);
  return rows.map(([name, probability]) => {
    const fill = html("div", { class: "fill" });
    fill.style.width = `${100 * probability}%`;
    const kind = name === label ? "true" : name === guess ? "taken" : null;
    return html(
      "li",
      { class: kind },
      html("span", { class: "name", text: data.classes[name], title: data.classes[name] }),
      html("div", { class: "rail" }, fill),
      html("span", { class: "much", text: percent(probability) }),
    );
  });
}

/** @type {(rows: [name: string, value: string][]) => HTMLElement[]} */
function about(rows) {
  return rows.map(([name, value]) => html("div", {}, html("dt", { text: name }), html("dd", { text: value })));
}

/** @type {(step: number) => void} */
function stepViewer(step) {
  const at = viewed.at + step;
  if (at < 0 || at >= viewed.list.length) return;
  viewed.at = at;
  showViewed();
}

/** @type {() => void} */
export function startViewer() {
  const dialog = byId("viewer", HTMLDialogElement);
  byId("viewer-close").addEventListener("click", () => dialog.close());
  byId("viewer-before").addEventListener("click", () => stepViewer(-1));
  byId("viewer-after").addEventListener("click", () => stepViewer(1));
  dialog.addEventListener("keydown", (event) => {
    const step = Number(event.key === "ArrowRight") - Number(event.key === "ArrowLeft");
    if (step && !(event.target instanceof HTMLInputElement)) stepViewer(step); // arrow keys choose among radio buttons
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // the backdrop
  });
  document.getElementById("viewer-looks")?.addEventListener("change", (event) => {
    looks = /** @type {HTMLInputElement} */ (event.target).value;
    showViewed();
  });
}
