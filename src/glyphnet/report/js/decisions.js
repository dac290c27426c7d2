// @ts-check
// Decisions on suspected labels: stored in the browser where it allows that, saved as CSV on demand.

import { html } from "../../pages/js/elements.js";
import { data } from "./data.js";

const COLUMNS = ["part", "file", "given", "suggested", "score", "decision"];

/**
 * "part/place" → "keep", "relabel", "drop", or "=7": the class of that number.
 * @type {Map<string, string>}
 */
export const decisions = new Map();

/** @type {() => void} */
export function loadDecisions() {
  try {
    const stored = JSON.parse(localStorage.getItem(data.labels.key) ?? "{}");
    for (const [id, decision] of Object.entries(stored)) decisions.set(id, decision);
  } catch {
    // The browser keeps nothing for this file, or something else: nothing is decided.
  }
}

/** @type {() => void} */
function storeDecisions() {
  try {
    localStorage.setItem(data.labels.key, JSON.stringify(Object.fromEntries(decisions)));
  } catch {
    // They hold until the page is closed.
  }
}

/** @type {(id: string, decision: string | null) => void} */
export function decide(id, decision) {
  if (decision === null) decisions.delete(id);
  else decisions.set(id, decision);
  storeDecisions();
}

/** @type {() => void} */
export function forgetDecisions() {
  decisions.clear();
  storeDecisions();
}

/**
 * All decisions as CSV.
 * @type {() => string}
 */
function decisionsCsv() {
  /** @type {(value: string) => string} */
  const field = (value) => (/[",\r\n]|^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const rows = [COLUMNS];
  for (const part of data.labels.parts) {
    part.files.forEach((file, place) => {
      const decision = decisions.get(`${part.part}/${place}`);
      if (!decision) return;
      const given = data.classes[part.given[place]];
      const [suggested, word] = inWords(decision, data.classes[part.suggested[place]]);
      rows.push([part.part, file, given, suggested, part.scores[place].toFixed(4), word]);
    });
  }
  return rows.map((row) => `${row.map(field).join(",")}\r\n`).join("");
}

/**
 * The columns suggested and decision. A class with the name of a decision becomes the suggestion, with "relabel".
 * @type {(decision: string, suggested: string) => [string, string]}
 */
function inWords(decision, suggested) {
  if (!decision.startsWith("=")) return [suggested, decision];
  const name = data.classes[Number(decision.slice(1))];
  return /^(keep|relabel|drop)?$/i.test(name.trim()) || name !== name.trim() ? [name, "relabel"] : [suggested, name];
}

/**
 * UTF-8. The bytes of a file name that is not valid Unicode, which Python put into lone surrogates, are restored.
 * @type {(text: string) => BlobPart[]}
 */
function encode(text) {
  const parts = text.split(/([\udc80-\udcff])(?<![\ud800-\udbff][\udc80-\udcff])/);
  return parts.map((part, i) => (i % 2 ? new Uint8Array([part.charCodeAt(0) - 0xdc00]) : part));
}

/** @type {() => void} */
export function saveDecisions() {
  const address = URL.createObjectURL(new Blob(encode(decisionsCsv()), { type: "text/csv" }));
  const link = html("a", { href: address, download: "labels.csv" });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
