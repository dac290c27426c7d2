// @ts-check
// What all parts of the page are built from: markup, words, pictures that load, and the state that they share.

import { default as htm } from "../vendor/htm.js";
import { h } from "../vendor/preact.js";
import { useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact-hooks.js";
import { signal } from "../vendor/signals-core.js";
import { language, t } from "./strings.js";
/** @import { Engine, Mistake, Place, Run } from "./engine.js" */

/** Markup with components. Text is always set as text. @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
export const html = htm.bind(h);

export const STEPS = /** @type {const} */ (["collect", "label", "check", "train", "judge", "try"]);

/** What the page shows, apart from what the engine knows. */
export class App {
  /** @param {Engine} engine */
  constructor(engine) {
    this.engine = engine;
    this.step = signal(/** @type {typeof STEPS[number]} */ ("collect"));
    this.place = signal(/** @type {Place} */ (null)); // the class that is shown, or the tray
    this.chosen = signal(/** @type {Set<string>} */ (new Set())); // the ids of the selected pictures
    this.group = signal(""); // of the pictures that are added next
    this.opened = signal(/** @type {{ id: string, mistake: Mistake | null } | null} */ (null));
    this.goal = signal(/** @type {string | null} */ (null)); // the picture that the grid scrolls to
    this.said = signal("");
    this.trouble = signal("");
    this.busy = signal(0);
    this.run = signal(/** @type {string | null} */ (null));
  }

  /**
   * Do something that may fail; what fails is said.
   * @template Result @param {() => Promise<Result>} work @param {string} [done] what to say when it is done
   * @returns {Promise<Result | null>}
   */
  async attempt(work, done) {
    this.trouble.value = "";
    this.busy.value++;
    try {
      const result = await work();
      if (done) this.say(done);
      return result;
    } catch (error) {
      this.trouble.value = error instanceof Error ? error.message : String(error);
      return null;
    } finally {
      this.busy.value--;
    }
  }

  /** Show a sentence, and say it to a screen reader. @param {string} sentence */
  say(sentence) {
    this.said.value = sentence;
  }

  /** Show a class, or the tray. @param {Place} place */
  show(place) {
    this.place.value = place;
    this.chosen.value = new Set();
  }

  /** Open a picture where it lies, to look at it and to correct it. @param {string} id @param {Mistake | null} mistake */
  async open(id, mistake = null) {
    const found = await this.attempt(() => this.engine.find(id));
    if (found === null) return;
    if (found.picture === null) {
      this.trouble.value = t("picture_gone", { name: id });
      return;
    }
    this.show(found.place);
    this.goal.value = found.picture.id;
    this.step.value = "collect";
    this.opened.value = { id: found.picture.id, mistake };
  }

  /** The runs that can be judged: those with an accuracy. */
  get judged() {
    return this.engine.state.value.runs.filter(({ status, accuracy }) => status !== "running" && accuracy !== null);
  }

  /** The runs that can be tried: those with a model. */
  get usable() {
    return this.engine.state.value.runs.filter(({ status, model }) =>
      model ?? (status === "done" || status === "stopped")
    );
  }

  /** The chosen one of some runs, else the newest. @param {Run[]} runs @returns {Run | null} */
  current(runs) {
    return runs.find(({ name }) => name === this.run.value) ?? runs.at(-1) ?? null;
  }
}

/** A place in words. @type {(place: Place) => string} */
export function placeName(place) {
  return place === null ? t("tray") : place;
}

/**
 * A picture of the engine, small or whole.
 * @param {{ engine: Engine, id: string, hash?: string, whole?: boolean, label?: string }} given
 */
export function Shown({ engine, id, hash, whole = false, label = "" }) {
  const [address, setAddress] = useState("");
  useEffect(() => {
    let current = true;
    const found = whole ? engine.file(id, hash) : engine.thumb(id, hash);
    if (typeof found === "string") setAddress(found);
    else {
      setAddress("");
      found.then((each) => current && setAddress(each)).catch(() => current && setAddress(""));
    }
    return () => {
      current = false;
    };
  }, [engine, id, hash, whole]);
  return address
    ? html`<img class="shown" src=${address} alt=${label} draggable=${false} decoding="async" />`
    : html`<span class="shown" role=${label ? "img" : null} aria-label=${label || null}></span>`;
}

/**
 * Something that draws itself into an element: a chart, a table.
 * @param {{ draw: (element: any) => void, needs: unknown[], tag?: string, name?: string, label?: string }} given
 */
export function Drawn({ draw, needs, tag = "div", name = "", label }) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    if (place.current === null || tag !== "div") return;
    const watch = new ResizeObserver(([{ contentRect }]) => setWidth(Math.round(contentRect.width)));
    watch.observe(place.current);
    return () => watch.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (place.current !== null) draw(place.current);
  }, [...needs, width, language.value]);
  return h(tag, { ref: place, class: name, "aria-label": label ?? null });
}

/** How far work has come. @param {{ done: number, total: number | null, label: string }} given */
export function Bar({ done, total, label }) {
  return total
    ? html`<progress class="bar-done" max=${total} value=${Math.min(done, total)} aria-label=${label}></progress>`
    : html`<progress class="bar-done" aria-label=${label}></progress>`;
}

/** Seconds in words: "1:05", "12 s". @type {(seconds: number | null) => string} */
export function duration(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return "";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}\u202fs`;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}\u202fmin`;
}

/** Let the browser save a file. @param {import("./engine.js").Download} given */
export function save({ name, blob, address }) {
  const link = document.createElement("a");
  link.href = blob ? URL.createObjectURL(blob) : address ?? "";
  link.download = name;
  link.click();
  if (blob) setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** @type {(event: Event) => string} */
export function valueOf(event) {
  return /** @type {HTMLInputElement | HTMLSelectElement} */ (event.target).value;
}

/** Whether a key was pressed where text is written. @type {(event: KeyboardEvent) => boolean} */
export function isTyping(event) {
  const at = event.target;
  return at instanceof HTMLInputElement
    ? !["checkbox", "radio", "button"].includes(at.type)
    : at instanceof HTMLSelectElement ||
      at instanceof HTMLTextAreaElement;
}
