// @ts-check
// The page's address says which images are shown (#true=4&predicted=9&least=50): links, the matrix and the browser's
// Back all change it.

import { thousands } from "../../pages/js/elements.js";
import { data, images } from "./data.js";

/**
 * Which images are shown, in which order: their true and predicted class, right or wrong ones only, and the least and
 * most confidence, in per cent.
 * @typedef {{
 *   true: number | null, predicted: number | null, only: string, order: string, least: number | null, most: number | null,
 * }} Shown
 */

/** @type {{ [show: string]: { only: string, order: string } }} */
export const SHOWS = { worst: { only: "wrong", order: "worst" }, unsure: { only: "all", order: "unsure" } };
/** @type {{ [order: string]: (a: number, b: number) => number }} */
const ORDERS = {
  surest: (a, b) => images.confidence[b] - images.confidence[a] || a - b,
  unsure: (a, b) => images.confidence[a] - images.confidence[b] || a - b,
  worst: (a, b) => images.loss[b] - images.loss[a] || a - b,
};
/** @type {{ [only: string]: (label: number, guess: number) => boolean }} */
const ONLY = { all: () => true, wrong: (label, guess) => label !== guess, right: (label, guess) => label === guess };
/** @type {(keyof Shown)[]} */
export const KEYS = ["true", "predicted", "only", "order", "least", "most"];

/**
 * The images that the address asks for, or null if it names none.
 * @type {() => Shown | null}
 */
export function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!["show", ...KEYS].some((key) => given.has(key))) return null;
  const preset = SHOWS[given.get("show") ?? ""];
  /** @type {(key: string) => number | null} */
  const classOf = (key) => (given.has(key) && Number(given.get(key)) in data.classes ? Number(given.get(key)) : null);
  /** @type {(table: object, key: "only" | "order", other: string) => string} */
  const oneOf = (table, key, other) => {
    const value = given.get(key);
    return value !== null && Object.hasOwn(table, value) ? value : (preset?.[key] ?? other);
  };
  return {
    true: classOf("true"),
    predicted: classOf("predicted"),
    only: oneOf(ONLY, "only", "all"),
    order: oneOf(ORDERS, "order", "surest"),
    least: perCent(given.get("least")),
    most: perCent(given.get("most")),
  };
}

/**
 * A number from 0 to 100, or null for anything else.
 * @type {(text: string | null) => number | null}
 */
export function perCent(text) {
  const value = text === null || text.trim() === "" ? NaN : Number(text);
  return value >= 0 && value <= 100 ? value : null;
}

/** @type {(shown: Partial<Shown>) => void} */
export function writeAddress(state) {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) if (value !== null) given.set(key, String(value));
  location.hash = given.toString();
}

/** @type {(shown: Shown) => number[]} */
export function select({ true: label, predicted, only, order, least, most }) {
  /** @type {number[]} */
  const list = [];
  for (let i = 0; i < images.count; i++) {
    if (label !== null && images.labels[i] !== label) continue;
    if (predicted !== null && images.predictions[i] !== predicted) continue;
    if (least !== null && 100 * images.confidence[i] < least) continue;
    if (most !== null && 100 * images.confidence[i] > most) continue;
    if (ONLY[only](images.labels[i], images.predictions[i])) list.push(i);
  }
  return list.sort(ORDERS[order]);
}

/**
 * The number of such images in the whole evaluation, from the confusion matrix; null if confidence limits them.
 * @type {(shown: Shown) => number | null}
 */
export function countAll({ true: label, predicted, only, least, most }) {
  if (least !== null || most !== null) return null;
  let count = 0;
  data.matrix.forEach((row, r) =>
    row.forEach((cell, c) => {
      if ((label === null || r === label) && (predicted === null || c === predicted) && ONLY[only](r, c)) count += cell;
    })
  );
  return count;
}

/** @type {(state: Shown, shown: number, all: number | null) => string} */
export function titleOf(state, shown, all) {
  const between = state.least === null && state.most === null
    ? ""
    : `, ${state.least ?? 0} to ${state.most ?? 100}\u202f%`;
  const count = all !== null && shown < all ? `${thousands(shown)} of ${thousands(all)}` : thousands(shown);
  const where = all === null && images.count < images.all ? " on this page" : "";
  return `${kindOf(state)}${between} · ${count} ${(all ?? shown) === 1 ? "image" : "images"}${where}`;
}

/** @type {(shown: Shown) => string} */
function kindOf({ true: label, predicted, only, order }) {
  /** @type {(k: number) => string} */
  const name = (k) => `“${data.classes[k]}”`;
  if (label !== null && label === predicted) return `${name(label)} named rightly`;
  if (label !== null && predicted !== null) return `${name(label)} taken for ${name(predicted)}`;
  if (label !== null) return only === "wrong" ? `Mistakes on ${name(label)}` : `All ${name(label)}`;
  if (predicted !== null) return only === "wrong" ? `Wrongly taken for ${name(predicted)}` : `Named ${name(predicted)}`;
  if (only === "wrong") return order === "worst" ? "Worst mistakes" : "Mistakes";
  return order === "unsure" ? "Least sure" : "Images";
}
