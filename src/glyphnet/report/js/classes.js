// The table of the classes, sorted by a click on a column's head.

import { byId, html } from "../../pages/js/elements.js";

export function startClasses() {
  const table = byId("class-table");
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    const button = html("button", { type: "button", text: head.textContent });
    head.replaceChildren(button);
    button.addEventListener("click", () => sortClasses(table, column));
  }
}

function sortClasses(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const ascending = heads[column].getAttribute("aria-sort") !== "ascending"; // the worst first, then the best
  for (const head of heads) head.removeAttribute("aria-sort");
  heads[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const value = (row) => Number(row.cells[column].dataset.value);
  const rows = [...table.tBodies[0].rows].sort((a, b) => (ascending ? value(a) - value(b) : value(b) - value(a)));
  table.tBodies[0].append(...rows);
}
