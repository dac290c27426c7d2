// @ts-check
// The confusion matrix: one stop of the Tab key, arrow keys move inside, Enter shows a cell's images.

import { byId, html, percent, thousands, within } from "../../pages/js/elements.js";
import { writeAddress } from "./address.js";
import { data } from "./data.js";
/** @import { Shown } from "./address.js" */

const MOST_NUMBERED = 30; // more classes leave no room for numbers: colours and titles remain

/** @type {(HTMLButtonElement | null)[][]} */
const cells = []; // rows of buttons; null for cells without images

/** @type {() => void} */
export function startMatrix() {
  const count = data.classes.length;
  const longest = Math.max(...data.classes.map((name) => name.length));
  const table = html("table", { class: "matrix", "aria-label": "Confusion matrix: rows true, columns predicted" });
  if (count > MOST_NUMBERED) table.classList.add("many");
  if (longest > 3) table.classList.add("tall", "wide-names");
  table.style.setProperty("--names", `${Math.min(9, 1.2 + 0.5 * longest)}rem`);
  if (count > 14) within(document, ".look").classList.add("wide");

  const columns = html("colgroup", {}, html("col", { class: "names" }), html("col", { span: count }));
  const head = html("tr", {}, html("td"), ...data.classes.map((name) => header("col", name)));
  const rows = data.matrix.map((row, r) => {
    cells.push(row.map((images, c) => (images ? cell(r, c) : null)));
    const places = cells[r].map((button) => (button ? html("td", {}, button) : html("td", { class: "none" })));
    return html("tr", {}, header("row", data.classes[r]), ...places);
  });
  table.append(columns, html("thead", {}, head), html("tbody", {}, ...rows));
  byId("matrix").append(table);
  table.addEventListener("keydown", moveInMatrix);
  table.addEventListener("click", chooseCell);
  table.addEventListener("focusin", holdTabStop);
  byId("matrix-unit").addEventListener("change", (event) => {
    fillMatrix(/** @type {HTMLInputElement} */ (event.target).value);
  });
  within(table, ".cell").tabIndex = 0;
  fillMatrix("count");
}

/** @type {(scope: "row" | "col", name: string) => HTMLElement} */
function header(scope, name) {
  return html("th", { scope, title: name }, html("span", { text: name }));
}

/** @type {(r: number, c: number) => HTMLButtonElement} */
function cell(r, c) {
  return html("button", {
    type: "button",
    class: r === c ? "cell right" : "cell",
    tabindex: -1,
    "data-row": r,
    "data-column": c,
    "aria-pressed": "false",
  });
}

/**
 * Write the numbers, and colour each cell: right ones by their share of the row, mistakes by how many they are.
 * @type {(unit: string) => void}
 */
function fillMatrix(unit) {
  const sums = data.matrix.map((row) => row.reduce((sum, count) => sum + count, 0));
  /** @type {(r: number, c: number) => number} */
  const value = (r, c) => (unit === "count" ? data.matrix[r][c] : data.matrix[r][c] / (sums[r] || 1));
  let most = 0;
  data.matrix.forEach((row, r) => row.forEach((_, c) => (most = r === c ? most : Math.max(most, value(r, c)))));
  cells.forEach((row, r) =>
    row.forEach((button, c) => {
      if (!button) return;
      const count = data.matrix[r][c];
      const share = count / (sums[r] || 1);
      const asShare = (100 * share).toFixed(share < 0.1 ? 1 : 0);
      button.textContent = unit === "count" ? thousands(count).replace(",", "\u202f") : asShare;
      const heat = r === c ? 45 * share : 5 + 65 * (value(r, c) / (most || 1)) ** 0.75;
      button.style.setProperty("--mix", `${heat.toFixed(0)}%`);
      const words = `true ${data.classes[r]}, predicted ${data.classes[c]}: ${thousands(count)} (${percent(share)})`;
      button.setAttribute("aria-label", words);
      button.title = words;
    })
  );
}

/** @type {(event: Event) => HTMLElement | null} */
function cellOf(event) {
  return /** @type {Element} */ (event.target).closest(".cell");
}

/** @type {(event: Event) => void} */
function chooseCell(event) {
  const button = cellOf(event);
  if (button) writeAddress({ true: Number(button.dataset.row), predicted: Number(button.dataset.column) });
}

/**
 * The step of a key, in rows and columns.
 * @type {{ [key: string]: [number, number] }}
 */
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** @type {(event: KeyboardEvent) => void} */
function moveInMatrix(event) {
  const step = STEPS[event.key];
  const button = cellOf(event);
  if (!step || !button) return;
  event.preventDefault();
  let [r, c] = [Number(button.dataset.row), Number(button.dataset.column)];
  do [r, c] = [r + step[0], c + step[1]]; while (cells[r]?.[c] === null); // over the empty ones
  cells[r]?.[c]?.focus();
}

/** @type {(event: Event) => void} */
function holdTabStop(event) {
  const button = cellOf(event);
  if (!button) return;
  within(byId("matrix"), '.cell[tabindex="0"]').tabIndex = -1;
  button.tabIndex = 0;
}

/**
 * Show which cell's images the gallery has.
 * @type {(shown: Shown) => void}
 */
export function markCell(state) {
  byId("matrix").querySelector('.cell[aria-pressed="true"]')?.setAttribute("aria-pressed", "false");
  if (state.true !== null && state.predicted !== null) {
    cells[state.true][state.predicted]?.setAttribute("aria-pressed", "true");
  }
}
