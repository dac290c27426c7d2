// @ts-check
// Suspected labels: one card each, with the image and a choice. Each card is one stop of the Tab key; K, R and D
// decide.

import { byId, html, percent, within } from "../../pages/js/elements.js";
import { data, drawTile } from "./data.js";
import { decide, decisions, forgetDecisions, loadDecisions, saveDecisions } from "./decisions.js";
/** @import { Part } from "./data.js" */

const CARDS_AT_ONCE = matchMedia("(max-width: 36rem)").matches ? 6 : 12;
/** @type {{ [key: string]: string }} */
const BY_KEY = { k: "keep", r: "relabel", d: "drop" };

/** @type {() => void} */
export function startLabels() {
  if (!data.labels.parts.length) return;
  loadDecisions();
  for (const part of data.labels.parts) startPart(part);
  byId("label-save").addEventListener("click", saveDecisions);
  byId("label-forget").addEventListener("click", () => {
    forgetDecisions();
    for (const card of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".card"))) {
      markCard(card, null);
    }
    countDecisions();
  });
  countDecisions();
}

/** @type {(part: Part) => void} */
function startPart(part) {
  const place = byId(part.sheet);
  const [list, more] = [within(place, ".cards"), within(place, ".more")];
  const show = () => {
    const from = list.children.length;
    for (let i = from; i < Math.min(part.files.length, from + CARDS_AT_ONCE); i++) list.append(makeCard(part, i));
    const left = part.files.length - list.children.length;
    more.hidden = left === 0;
    more.textContent = `Show ${Math.min(left, CARDS_AT_ONCE)} more of ${left}`;
    return from;
  };
  more.addEventListener("click", () => within(list.children[show()], "input").focus());
  show();
}

/** What is said of a card's label. @type {(part: Part, i: number, given: string, suggested: string) => HTMLElement} */
function aboutLabel(part, i, given, suggested) {
  return html(
    "div",
    { class: "about-label" },
    html("p", {}, html("span", { class: "sure", text: "given " }), html("b", { text: given })),
    html(
      "p",
      {},
      html("span", { class: "sure", text: "suggested " }),
      html("b", { class: "suggested", text: suggested }),
    ),
    html("p", { class: "sure", text: `score ${percent(part.scores[i], 0)}` }),
    html("p", { class: "sure end", title: part.files[i] }, html("bdi", { text: part.files[i] })),
  );
}

/** @type {(part: Part, i: number) => HTMLElement} */
function makeCard(part, i) {
  const id = `${part.part}/${i}`;
  const [given, suggested] = [data.classes[part.given[i]], data.classes[part.suggested[i]]];
  const canvas = html("canvas", { class: "pixels", role: "img", "aria-label": part.files[i] });
  drawTile(canvas, part.sheet, i);
  /** @type {(value: string, text: string, title: string) => HTMLElement} */
  const choice = (value, text, title) =>
    html(
      "label",
      {},
      html("input", { type: "radio", name: id, value, "aria-label": title }),
      html("span", { text, title }),
    );
  const other = html("select", { "aria-label": `Another class for ${part.files[i]}` });
  other.append(html("option", { value: "", text: "other …" }));
  data.classes.forEach((name, k) => {
    if (k !== part.given[i] && k !== part.suggested[i]) other.append(html("option", { value: `=${k}`, text: name }));
  });
  const card = html(
    "div",
    {
      class: "card",
      role: "group",
      "aria-label": `${part.files[i]}: given ${given}, suggested ${suggested}`,
      "data-id": id,
    },
    canvas,
    aboutLabel(part, i, given, suggested),
    html(
      "div",
      { class: "choices" },
      html(
        "div",
        { class: "switch", role: "radiogroup", "aria-label": "Decision" },
        choice("keep", "Keep", `Keep ${given}`),
        choice("relabel", "Relabel", `Relabel as ${suggested}`),
        choice("drop", "Drop", "Drop the image"),
      ),
      other,
    ),
  );
  card.addEventListener(
    "change",
    (event) => takeDecision(card, /** @type {HTMLInputElement} */ (event.target).value || null),
  );
  card.addEventListener("keydown", (event) => decideByKey(card, event));
  markCard(card, decisions.get(id) ?? null);
  return html("li", {}, card);
}

/** @type {(card: HTMLElement, decision: string | null) => void} */
function takeDecision(card, decision) {
  decide(card.dataset.id ?? "", decision);
  markCard(card, decision);
  countDecisions();
}

/**
 * Show the decision on a card.
 * @type {(card: HTMLElement, decision: string | null) => void}
 */
function markCard(card, decision) {
  card.classList.toggle("decided", decision !== null);
  for (const radio of card.querySelectorAll("input")) radio.checked = radio.value === decision;
  within(card, "select", HTMLSelectElement).value = decision?.startsWith("=") ? decision : "";
}

/**
 * A letter decides and moves to the next card.
 * @type {(card: HTMLElement, event: KeyboardEvent) => void}
 */
function decideByKey(card, event) {
  const decision = BY_KEY[event.key.toLowerCase()];
  if (!decision || event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLSelectElement) return;
  event.preventDefault();
  takeDecision(card, decision);
  const next = card.parentElement?.nextElementSibling?.querySelector("input");
  const more = card.closest(".suspects")?.querySelector(".more:not([hidden])");
  /** @type {HTMLElement | null | undefined} */ (next ?? more)?.focus();
}

/** @type {() => void} */
function countDecisions() {
  const ids = data.labels.parts.flatMap((part) => part.files.map((_, i) => `${part.part}/${i}`));
  const count = ids.filter((id) => decisions.has(id)).length;
  byId("label-count").textContent = count ? `${count} of ${ids.length} decided.` : "Nothing is decided yet.";
  byId("label-save", HTMLButtonElement).disabled = count === 0;
  byId("label-forget", HTMLButtonElement).disabled = count === 0;
}
