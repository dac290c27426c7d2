// @ts-check
// The pictures of a class: only what can be seen is in the page, so that 50,000 scroll as smoothly as 50.

import { useEffect, useRef, useState } from "../vendor/preact-hooks.js";
import { t } from "./strings.js";
import { html, isTyping, placeName, Shown } from "./ui.js";
/** @import { App } from "./ui.js" */
/** @import { Engine, Picture, Place } from "./engine.js" */

const CELL = 76; // pixels of a picture and the space around it
const PAGE = 200; // pictures that are asked for at once
const BEYOND = 2; // rows above and below what can be seen

/** Pictures by their place, and how many there are. @typedef {{ total: number, at: Map<number, Picture> }} Known */

/** The ids of pictures from `low` up to `high`; an engine may give fewer at once than it is asked for. @type {(engine: Engine, place: Place, low: number, high: number) => Promise<string[]>} */
async function idsBetween(engine, place, low, high) {
  /** @type {string[]} */
  const ids = [];
  while (low + ids.length < high) {
    const { pictures } = await engine.pictures(place, low + ids.length, high - low - ids.length);
    if (!pictures.length) break;
    for (const { id } of pictures) ids.push(id);
  }
  return ids;
}

/**
 * The pictures of the place that is shown, as far as they were asked for; `load` asks for a page of them.
 * @type {(app: App) => { known: Known, load: (page: number) => Promise<void> }}
 */
function useKnown(app) {
  const { engine } = app;
  const place = app.place.value;
  const changes = engine.changes.value;
  const known = useRef(/** @type {Known} */ ({ total: 0, at: new Map() }));
  const asked = useRef(new Set());
  const [, again] = useState(0);
  const load = async (/** @type {number} */ page) => {
    const key = `${place}/${changes}/${page}`;
    if (asked.current.has(key)) return;
    asked.current.add(key);
    const found = await app.attempt(() => engine.pictures(place, page * PAGE, PAGE));
    if (found === null || place !== app.place.value) return;
    known.current.total = found.total;
    found.pictures.forEach((picture, number) => known.current.at.set(page * PAGE + number, picture));
    again((count) => count + 1);
  };
  useEffect(() => {
    known.current = { total: 0, at: new Map() };
  }, [place]);
  useEffect(() => {
    asked.current = new Set();
    known.current.at = new Map([...known.current.at].filter(([number]) => number < known.current.total));
    load(0);
  }, [place, changes]);
  return { known: known.current, load };
}

/** What can be seen of an element that scrolls. @typedef {{ top: number, height: number, width: number }} View */

/** @type {(room: { current: HTMLElement | null }) => View} */
function useView(room) {
  const [view, setView] = useState({ top: 0, height: 400, width: 600 });
  useEffect(() => {
    const element = room.current;
    if (element === null) return;
    const look = () => setView({ top: element.scrollTop, height: element.clientHeight, width: element.clientWidth });
    const watch = new ResizeObserver(look);
    watch.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      watch.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, []);
  return view;
}

/** Look for the picture that shall be shown, and go there. @type {(app: App, known: Known, go: (number: number) => void) => void} */
function useGoal(app, known, go) {
  const { engine } = app;
  const place = app.place.value;
  const goal = app.goal.value;
  useEffect(() => {
    if (goal === null) return;
    const seek = async () => {
      for (let page = 0; page * PAGE < Math.max(1, known.total); page++) {
        const found = await engine.pictures(place, page * PAGE, PAGE);
        known.total = found.total;
        const number = found.pictures.findIndex(({ id }) => id === goal);
        if (number < 0) continue;
        go(page * PAGE + number);
        break;
      }
      app.goal.value = null;
    };
    app.attempt(seek);
  }, [goal, place]);
}

/**
 * Selecting: one picture, or all from the last one to it; and all of the place.
 * @type {(app: App, known: Known, anchor: { current: number }) => { choose: (number: number, range: boolean) => Promise<void>, all: () => Promise<void> }}
 */
function chooser(app, known, anchor) {
  const { engine } = app;
  const place = app.place.value;
  return {
    async choose(number, range) {
      const next = new Set(app.chosen.value);
      if (range) {
        const [low, high] = [Math.min(anchor.current, number), Math.max(anchor.current, number)];
        for (const id of await app.attempt(() => idsBetween(engine, place, low, high + 1)) ?? []) next.add(id);
      } else {
        const id = known.at.get(number)?.id;
        if (id === undefined) return;
        if (!next.delete(id)) next.add(id);
        anchor.current = number;
      }
      app.chosen.value = next;
    },
    async all() {
      const ids = await app.attempt(() => idsBetween(engine, place, 0, known.total));
      if (ids !== null && place === app.place.value) app.chosen.value = new Set(ids);
    },
  };
}

/**
 * One picture of the grid, at its place.
 * @param {{ app: App, picture: Picture | undefined, number: number, total: number, columns: number, active: boolean, choose: (range: boolean) => void, open: () => void }} given
 */
function Cell({ app, picture, number, total, columns, active, choose, open }) {
  const chosen = picture !== undefined && app.chosen.value.has(picture.id);
  const label = t("picture_number", { n: number + 1, of: total, group: picture?.group ? `, ${picture.group}` : "" });
  return html`
    <div id=${`picture-${number}`} role="option" aria-selected=${chosen}
      aria-label=${label} aria-posinset=${number + 1} aria-setsize=${total}
      class=${`cell${chosen ? " chosen" : ""}${active ? " active" : ""}`}
      style=${{ left: `${(number % columns) * CELL}px`, top: `${Math.floor(number / columns) * CELL}px` }}
      onClick=${(/** @type {MouseEvent} */ event) => choose(event.shiftKey)} onDblClick=${open}>
          ${picture && html`<${Shown} engine=${app.engine} id=${picture.id} hash=${picture.hash} />`}
          ${picture?.group && html`<span class="group" title=${picture.group}>${picture.group}</span>`}
        </div>
  `;
}

/**
 * What the keys do in the grid.
 * @type {(given: {
 *   app: App, total: number, columns: number, active: number, go: (number: number) => void,
 *   choose: (number: number, range: boolean) => void, all: () => void, open: (number: number) => void,
 * }) => (event: KeyboardEvent) => void}
 */
function pressing({ app, total, columns, active, go, choose, all, open }) {
  return (event) => {
    if (isTyping(event) || !total) return;
    const step = stepOf(event.key, columns, total);
    if (step !== null) {
      const next = Math.max(0, Math.min(total - 1, active + step));
      if (event.shiftKey) choose(next, true);
      go(next);
    } else if (event.key === " ") choose(active, event.shiftKey);
    else if (event.key === "Enter") open(active);
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) all();
    else if (event.key === "Escape") app.chosen.value = new Set();
    else if (event.key === "Delete" || event.key === "Backspace") removeChosen(app);
    else return;
    event.preventDefault();
  };
}

/** @param {{ app: App }} given */
export function Grid({ app }) {
  const place = app.place.value;
  const room = useRef(/** @type {HTMLElement | null} */ (null));
  const { known, load } = useKnown(app);
  const { total, at } = known;
  const view = useView(room);
  const [active, setActive] = useState(0);
  const anchor = useRef(0);
  useEffect(() => {
    setActive(0);
    if (room.current) room.current.scrollTop = 0;
  }, [place]);
  const columns = Math.max(1, Math.floor(view.width / CELL));
  const first = Math.max(0, Math.floor(view.top / CELL) - BEYOND) * columns;
  const last = Math.min(total, (Math.ceil((view.top + view.height) / CELL) + BEYOND) * columns);
  useEffect(() => {
    for (let page = Math.floor(first / PAGE); page * PAGE < Math.max(last, 1); page++) load(page);
  });
  const go = (/** @type {number} */ number) => {
    setActive(number);
    if (room.current !== null) reveal(room.current, Math.floor(number / columns) * CELL);
  };
  useGoal(app, known, go);
  const { choose, all } = chooser(app, known, anchor);
  const open = (/** @type {number} */ number) => {
    const id = at.get(number)?.id;
    if (id !== undefined) app.opened.value = { id, mistake: null };
  };
  const pressed = pressing({ app, total, columns, active, go, choose, all, open });
  const numbers = Array.from({ length: Math.max(0, last - first) }, (_, place) => first + place);
  return html`
    <div class="grid" ref=${room} tabindex="0" role=${total ? "listbox" : "group"} aria-multiselectable=${total
      ? "true"
      : null}
      aria-label=${t("pictures_of", { place: placeName(place) })} onKeyDown=${pressed}
      aria-activedescendant=${total ? `picture-${Math.min(active, total - 1)}` : null}>
        <div class="whole" role="presentation" style=${{ height: `${Math.ceil(total / columns) * CELL}px` }}>${numbers
          .map((number) => {
            const clicked = (/** @type {boolean} */ range) => {
              setActive(number);
              choose(number, range);
            };
            return html`
              <${Cell} key=${at.get(number)?.id ?? number} app=${app} picture=${at.get(number)} number=${number}
                total=${total} columns=${columns} active=${number === active} choose=${clicked} open=${() =>
                  open(number)} />
            `;
          })}</div>
        ${!total && html`<p class="empty hint">${place === null ? t("empty_tray") : t("empty_class")}</p>`}
      </div>
  `;
}

/** How far a key moves in the grid; null for other keys. @type {(key: string, columns: number, total: number) => number | null} */
function stepOf(key, columns, total) {
  /** @type {{ [key: string]: number }} */
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -total, End: total };
  return steps[key] ?? null;
}

/** Scroll so that a row can be seen. @type {(element: HTMLElement, top: number) => void} */
function reveal(element, top) {
  if (top < element.scrollTop) element.scrollTop = top;
  else if (top + CELL > element.scrollTop + element.clientHeight) {
    element.scrollTop = top + CELL - element.clientHeight;
  }
}

/** @type {(app: App) => Promise<void>} */
export async function removeChosen(app) {
  const ids = [...app.chosen.value];
  if (!ids.length) return;
  await app.attempt(() => app.engine.remove(ids), t("deleted", { n: ids.length }));
  app.chosen.value = new Set();
}
