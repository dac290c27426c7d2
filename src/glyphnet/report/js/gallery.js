// @ts-check
// The images that the address asks for: of a cell, of a class, the worst, the least sure.

import { byId, html, percent, thousands, within } from "../../pages/js/elements.js";
import { countAll, KEYS, perCent, readAddress, select, SHOWS, titleOf, writeAddress } from "./address.js";
import { data, drawImage, images } from "./data.js";
import { markCell } from "./matrix.js";
import { openViewer } from "./viewer.js";
/** @import { Shown } from "./address.js" */

const AT_ONCE = matchMedia("(max-width: 36rem)").matches ? 12 : 30;

/** @type {number[]} */
let found = [];

/**
 * "4 → 9" in one line, long names in two.
 * @type {(label: number, guess: number) => HTMLElement[]}
 */
export function namesOf(label, guess) {
  const [truth, taken] = [data.classes[label], data.classes[guess]];
  if (label === guess) return [html("span", { text: truth })];
  const lines = truth.length + taken.length > 6 ? [truth, `→ ${taken}`] : [`${truth} → ${taken}`];
  return lines.map((text) => html("span", { class: "wrong", text }));
}

/** @type {(i: number, at: number) => HTMLElement} */
function tile(i, at) {
  const [label, guess] = [images.labels[i], images.predictions[i]];
  const canvas = html("canvas", { "aria-hidden": "true" });
  drawImage(canvas, i);
  const told = [
    `true ${data.classes[label]}`,
    `predicted ${data.classes[guess]}`,
    percent(images.confidence[i]),
    images.names[i],
  ].join(", ");
  const button = html(
    "button",
    { type: "button", class: "tile", "aria-label": told, title: told, "data-name": images.names[i] },
    canvas,
    ...namesOf(label, guess),
    html("span", { text: percent(images.confidence[i]) }),
    html("span", { class: "sure end" }, html("bdi", { text: images.names[i] })),
  );
  button.addEventListener("click", () => openViewer(found, at));
  return html("li", {}, button);
}

/** @type {() => number} */
function showMore() {
  const tiles = byId("tiles");
  const from = tiles.children.length;
  tiles.append(...found.slice(from, from + AT_ONCE).map((i, k) => tile(i, from + k)));
  const left = found.length - tiles.children.length;
  byId("more").hidden = left === 0;
  byId("more").textContent = `Show ${thousands(Math.min(left, AT_ONCE))} more of ${thousands(left)}`;
  return from;
}

/** @type {(shown: Shown) => void} */
function showGallery(state) {
  found = select(state);
  byId("gallery-title").textContent = titleOf(state, found.length, countAll(state));
  byId("nothing").hidden = found.length > 0;
  byId("tiles").replaceChildren();
  showMore();
  for (const key of KEYS) {
    const field = filter(key);
    // Who types on in one field while the other's number is taken over must not lose a digit.
    if (field.type !== "number" || field !== document.activeElement) field.value = String(state[key] ?? "");
  }
  markCell(state);
}

/**
 * The field of the form that chooses the images.
 * @type {(key: string) => HTMLInputElement | HTMLSelectElement}
 */
function filter(key) {
  return /** @type {any} */ (byId("filters", HTMLFormElement).elements.namedItem(key));
}

/**
 * Scroll to the gallery after a choice elsewhere on the page, unless it is in sight.
 * @type {() => void}
 */
function revealGallery() {
  const box = byId("gallery").getBoundingClientRect();
  if (box.top > innerHeight - 160 || box.top < 0) byId("gallery").scrollIntoView({ block: "start" });
}

/** @type {() => void} */
export function startGallery() {
  for (const select of [filter("true"), filter("predicted")]) {
    select.append(html("option", { value: "", text: "any" }));
    data.classes.forEach((name, k) => select.append(html("option", { value: k, text: name })));
  }
  byId("filters").addEventListener("change", () => {
    /** @type {(key: string) => number | null} */
    const classOf = (key) => (filter(key).value === "" ? null : Number(filter(key).value));
    writeAddress({
      true: classOf("true"),
      predicted: classOf("predicted"),
      only: filter("only").value,
      order: filter("order").value,
      least: perCent(filter("least").value),
      most: perCent(filter("most").value),
    });
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("more").addEventListener("click", () => {
    const from = showMore();
    within(byId("tiles").children[from], "button").focus(); // the button that was pressed may be gone
  });
  addEventListener("hashchange", () => {
    const state = readAddress();
    if (!state) return;
    showGallery(state);
    revealGallery();
  });
  const anyWrong = data.matrix.some((row, r) => row.some((count, c) => r !== c && count));
  const first = readAddress();
  showGallery(
    first ?? { true: null, predicted: null, least: null, most: null, ...SHOWS[anyWrong ? "worst" : "unsure"] },
  );
  if (first) revealGallery();
}
