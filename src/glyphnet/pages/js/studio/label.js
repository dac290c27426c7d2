// @ts-check
// Step 2: the tray by keyboard. The model suggests, the most informative first; one key is one decision.

import { useEffect, useRef, useState } from "../vendor/preact-hooks.js";
import { percent } from "../elements.js";
import { number, t, TABLE } from "./strings.js";
import { html, isTyping, Shown } from "./ui.js";
/** @import { Suggested, Suggestion } from "./engine.js" */
/** @import { App } from "./ui.js" */

const KEYS = "1234567890abcdefghijklmnopqrstuvwxyz";
const AT_ONCE = 20; // suggestions that are asked for
const FEW = 6; // when so few are left, more are asked for

/** Suggestions in the order in which they come up, and the decisions that go to the engine one after the other. */
class Queue {
  /** @param {App} app @param {() => void} changed */
  constructor(app, changed) {
    this.app = app;
    this.changed = changed;
    /** @type {Suggestion[]} */
    this.waiting = [];
    /** @type {Set<string>} */
    this.done = new Set();
    /** @type {Suggested | null} */
    this.latest = null;
    this.asking = false;
    this.decided = 0;
    this.began = 0;
    this.retrains = true; // in the background, when the engine finds it worth it
    /** @type {Promise<unknown>} */
    this.sent = Promise.resolve();
  }

  async fill() {
    if (this.asking || this.waiting.length >= FEW) return;
    this.asking = true;
    await this.sent; // else what was just decided would be suggested again
    const found = await this.app.attempt(() => this.app.engine.suggest(AT_ONCE));
    this.asking = false;
    if (found === null) return;
    this.latest = found;
    if (found.retrain && this.retrains) this.retrain();
    const known = new Set([...this.done, ...this.waiting.map(({ id }) => id)]);
    this.waiting.push(...found.suggestions.filter(({ id }) => !known.has(id)));
    this.changed();
  }

  retrain() {
    const { engine } = this.app;
    if (engine.state.value.jobs.some(({ kind, status }) => kind === "train" && status === "running")) return;
    this.app.attempt(() => engine.train({ preset: "fast" }), t("retraining"));
  }

  /** @param {string | null} label null skips */
  decide(label) {
    const next = this.waiting.shift();
    if (next === undefined) return;
    this.done.add(next.id);
    this.began ||= performance.now();
    if (label !== null) this.decided++;
    this.sent = this.sent.then(() => this.app.attempt(() => this.app.engine.decide(next.id, label)));
    this.app.say(label === null ? t("skipped") : t("labelled", { name: label }));
    this.changed();
    this.fill();
  }

  /** Take the last decision back: its picture comes up again. */
  async undo() {
    await this.sent;
    await this.app.attempt(() => this.app.engine.undo(), t("undone"));
    this.decided = Math.max(0, this.decided - 1);
    this.done.clear();
    this.waiting = [];
    this.changed();
    await this.fill();
  }

  get perMinute() {
    const minutes = (performance.now() - this.began) / 60_000;
    return this.began && minutes > 0.05 ? Math.round(this.decided / minutes) : null;
  }
}

/** One key is one decision. @type {(app: App, own: Queue, names: string[]) => void} */
function useKeys(app, own, names) {
  const sent = useRef(names);
  sent.current = names;
  useEffect(() => {
    const pressed = (/** @type {KeyboardEvent} */ event) => {
      if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey || app.opened.value) return;
      const isButton = event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement;
      const place = KEYS.indexOf(event.key.toLowerCase());
      const suggested = own.waiting[0]?.label ?? null;
      if (place >= 0 && place < sent.current.length && event.key.length === 1) own.decide(sent.current[place]);
      else if (event.key === "Enter" && suggested !== null && !isButton) own.decide(suggested);
      else if (event.key === " " && !isButton) own.decide(null);
      else if (event.key === "Backspace") own.undo();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}

/** What the model says of a picture, and the decisions. @param {{ app: App, own: Queue, now: Suggestion }} given */
function Deciding({ app, own, now }) {
  const { classes, tray } = app.engine.state.value;
  const random = own.latest?.random ?? null;
  return html`
    <div class="deciding">
          <h2>${t("which_class")}</h2>
          <p role="status">${now.label === null
            ? t("no_suggestion")
            : html`${t("suggested")} <b id="suggested">${now.label}</b>${
              now.probability === null ? "" : `, ${percent(now.probability)}`
            }`} ${now.reason && `why_${now.reason}` in TABLE &&
            html`<span class="hint">${t(`why_${now.reason}`)}</span>`}</p>
          <div class="keys">${classes.slice(0, KEYS.length).map(({ name }, place) =>
            html`
              <button type="button" class=${name === now.label ? "primary" : ""} aria-keyshortcuts=${KEYS[place]}
                onClick=${() => own.decide(name)}><kbd>${KEYS[place]}</kbd> ${name}</button>
            `
          )}</div>
          <div class="tools">
            <button type="button" disabled=${now.label === null} onClick=${() =>
              own.decide(now.label)}><kbd>Enter</kbd> ${t("accept")}</button>
            <button type="button" onClick=${() => own.decide(null)}><kbd>${t("space")}</kbd> ${t("skip")}</button>
            <button type="button" onClick=${() => own.undo()}><kbd>←</kbd> ${t("undo")}</button>
          </div>
          <p class="hint">${t("label_left", { n: number(tray) })} ${own.decided > 0 &&
            t("label_decided", { n: own.decided })}
            ${own.perMinute !== null && t("label_rate", { n: own.perMinute })}</p>
          ${random &&
            html`<p class="hint">${
              t("label_random", { labels: number(random.labels), equal: number(random.equal) })
            }</p>`}
          <label class="tick"><input type="checkbox" id="retrains" checked=${own.retrains} onChange=${() => {
            own.retrains = !own.retrains;
            own.changed();
          }} /> ${t("retrains")}</label>
    <p class="hint">${own.latest?.model ? t("label_model", { name: own.latest.model }) : t("label_no_model")}</p>
        </div>
  `;
}

/** @param {{ app: App }} given */
export function LabelStep({ app }) {
  const { engine } = app;
  const { classes, tray } = engine.state.value;
  const [, again] = useState(0);
  const queue = useRef(/** @type {Queue | null} */ (null));
  queue.current ??= new Queue(app, () => again((count) => count + 1));
  const own = queue.current;
  useEffect(() => {
    own.fill();
  }, [tray]);
  const models = engine.state.value.runs.filter(({ status }) => status === "done").length;
  useEffect(() => {
    own.waiting.splice(1); // a new model asks for others; the picture that is looked at stays
    own.fill();
  }, [models]);
  useKeys(app, own, classes.map(({ name }) => name));
  const [now] = own.waiting;
  if (!classes.length) return html`<p class="empty hint">${t("label_no_classes")}</p>`;
  if (!now) return html`<p class="empty hint" id="label-done">${tray ? t("label_thinking") : t("label_empty")}</p>`;
  return html`
    <div class="label-step">
      <div class="asked">
        <div class="large" id="asked" data-id=${now.id}>
          <${Shown} engine=${engine} id=${now.id} whole=${true} label=${t("which_class")} />
        </div>
        <p class="coming" aria-hidden="true">${own.waiting.slice(1, 6).map(({ id }) =>
          html`<${Shown} key=${id} engine=${engine} id=${id} />`
        )}</p>
      </div>
      <${Deciding} app=${app} own=${own} now=${now} />
    </div>
  `;
}
