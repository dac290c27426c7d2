// @ts-check
// The frame of a live part: a question that is guessed first, controls, a chart, and a sentence that changes with them.

import { byId, html } from "../elements.js";

/** The present value of each control, by its name. @typedef {{ [name: string]: number }} Values */
/**
 * A control. slider: one of `values`; choice: the number of one of `texts`; button: how often it was pressed, at most `most` times.
 * `reset`: the controls that start again when this one changes.
 * @typedef {{ kind: "slider", name: string, label: string, values: number[], start: number, text: (value: number) => string, reset?: string[] }
 *   | { kind: "choice", name: string, label: string, texts: string[], start: number, reset?: string[] }
 *   | { kind: "button", name: string, label: string, most: number, start?: number, reset?: string[] }} Control
 */
/**
 * A live part. about: paragraphs; ask: what is guessed before the chart is shown, the number of the right choice, and why.
 * needs: what it shows, as digits or a trained network, where that takes time. show: draw into the figure for these values, and
 * say one sentence about them, at once or when the worker is done.
 * @template [Needed=void]
 * @typedef {{
 *   name: string, title: string, about: string[],
 *   ask: { question: string, choices: string[], right: number, because: string },
 *   controls: Control[], needs?: () => Promise<Needed>,
 *   show: (figure: HTMLElement, values: Values, say: (sentence: string) => void, needed: Needed) => void | Promise<void>,
 * }} Part
 */

/** The values that the controls start with. @type {(part: Part<any>) => Values} */
export function startValues({ controls }) {
  return Object.fromEntries(controls.map((control) => [control.name, control.start ?? 0]));
}

/** Put live parts into the page, in this order. @type {(parts: Part<any>[]) => void} */
export function startParts(parts) {
  byId("live").append(...parts.map(framed));
  document.documentElement.dataset.live = String(parts.length);
}

/** @type {(part: Part<any>) => HTMLElement} */
function framed(part) {
  const id = `live-${part.name}`;
  const title = html("h3", { id: `${id}-title`, text: part.title });
  const answer = html("p", { class: "answer", role: "status" });
  const stage = html("div", { class: "stage" });
  stage.hidden = true;
  const reveal = html("button", { type: "button", class: "primary reveal", text: "Reveal" });
  const { question, choices, right, because } = part.ask;
  const form = html("fieldset", { class: "guess" }, html("legend", { text: question }));
  [...choices, "I do not know"].forEach((text, place) => {
    const input = html("input", { type: "radio", name: `${id}-guess`, value: place });
    form.append(html("label", {}, input, ` ${text}`));
  });
  form.append(reveal);
  reveal.disabled = true; // first a guess
  form.addEventListener("change", () => reveal.disabled = false);
  reveal.addEventListener("click", () => {
    const taken = Number(/** @type {HTMLInputElement} */ (form.querySelector("input:checked")).value);
    const verdict = taken === right ? "Right." : `It is “${choices[right]}”.`;
    answer.textContent = `${verdict} ${because}`;
    answer.dataset.right = String(taken === right);
    reveal.hidden = true;
    if (!stage.hidden) return;
    stage.hidden = false;
    fill(stage, part, id);
  });
  return html(
    "section",
    { class: "live", id, "aria-labelledby": `${id}-title` },
    title,
    ...part.about.map((text) => html("p", { text })),
    form,
    answer,
    stage,
  );
}

/** Controls, figure and sentence. @type {(stage: HTMLElement, part: Part<any>, id: string) => void} */
function fill(stage, part, id) {
  const starts = startValues(part);
  const values = { ...starts };
  const figure = html("div", { class: "figure" });
  const sentence = html("p", { class: "sentence", role: "status", id: `${id}-sentence` });
  const settings = html("div", { class: "settings" });
  /** @type {Map<string, () => void>} */
  const refresh = new Map();
  let [wide, asked] = [0, 0];
  const show = async () => { // the figure is busy until what was asked for last is there
    const mine = ++asked;
    wide = figure.clientWidth;
    figure.setAttribute("aria-busy", "true");
    try {
      const needed = await part.needs?.();
      if (mine !== asked) return; // the controls have changed meanwhile
      await part.show(figure, { ...values }, (text) => sentence.textContent = text, needed);
    } finally {
      if (mine === asked) figure.removeAttribute("aria-busy");
    }
  };
  for (const control of part.controls) {
    const changed = (/** @type {number} */ value) => {
      values[control.name] = value;
      for (const other of control.reset ?? []) values[other] = starts[other];
      for (const each of refresh.values()) each();
      show();
    };
    const [element, renewed] = MADE[control.kind](/** @type {any} */ (control), () => values[control.name], changed);
    settings.append(element);
    refresh.set(control.name, renewed);
  }
  stage.append(settings, figure, sentence);
  show();
  new ResizeObserver(() => {
    if (Math.abs(figure.clientWidth - wide) > 20) show();
  }).observe(figure);
}

/**
 * Of each kind of control: its element, and what brings it up to date.
 * @type {{ [kind: string]: (control: any, value: () => number, changed: (value: number) => void) => [HTMLElement, () => void] }}
 */
const MADE = {
  slider({ name, label, values, text }, value, changed) {
    const input = html("input", { type: "range", name, min: 0, max: values.length - 1, step: 1 });
    const output = html("output", {});
    const renew = () => {
      const words = text(value());
      input.value = String(values.indexOf(value()));
      input.setAttribute("aria-valuetext", words);
      output.textContent = words;
    };
    input.addEventListener("input", () => changed(values[Number(input.value)]));
    renew();
    return [html("label", { class: "slider" }, html("span", { text: label }), output, input), renew];
  },
  choice({ name, label, texts }, value, changed) {
    const options = texts.map((/** @type {string} */ text, /** @type {number} */ place) =>
      html("option", { value: place, text })
    );
    const select = html("select", { name }, ...options);
    const renew = () => {
      select.value = String(value());
    };
    select.addEventListener("change", () => changed(Number(select.value)));
    renew();
    return [html("label", {}, html("span", { text: label }), select), renew];
  },
  button({ name, label, most }, value, changed) {
    const button = html("button", { type: "button", name, text: label });
    const renew = () => {
      button.disabled = value() >= most;
    };
    button.addEventListener("click", () => {
      changed(value() + 1);
    });
    renew();
    return [button, renew];
  },
};
