// @ts-check
// The table of classes: a click on a column's head sorts it.

import { byId, html } from "../../pages/js/elements.js";

/** @type {() => void} */
export function startClasses() {
  const table = byId("class-table", HTMLTableElement);
  for (const [column, head] of headsOf(table).entries()) {
    const button = html("button", { type: "button", text: head.textContent });
    head.replaceChildren(button);
    button.addEventListener("click", () => sortClasses(table, column));
  }
}

/** @type {(table: HTMLTableElement) => HTMLTableCellElement[]} */
function headsOf(table) {
  return [...(table.tHead?.rows[0].cells ?? [])];
}

/** @type {(table: HTMLTableElement, column: number) => void} */
function sortClasses(table, column) {
  const heads = headsOf(table);
  const ascending = heads[column].getAttribute("aria-sort") !== "ascending"; // the worst first, then the best
  for (const head of heads) head.removeAttribute("aria-sort");
  heads[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
  /** @type {(row: HTMLTableRowElement) => number} */
  const value = (row) => Number(row.cells[column].dataset.value);
  const rows = [...table.tBodies[0].rows].sort((a, b) => (ascending ? value(a) - value(b) : value(b) - value(a)));
  table.tBodies[0].append(...rows);
}
