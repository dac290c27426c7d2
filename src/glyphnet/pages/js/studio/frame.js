// @ts-check
// The frame: the six steps as tabs, undo, language, what is said and what went wrong, and the step that is open.

import { startTheme } from "../theme.js";
import { h, render } from "../vendor/preact.js";
import { useEffect } from "../vendor/preact-hooks.js";
import { useComputed } from "../vendor/signals.js";
import { CheckStep } from "./check.js";
import { addedSentence, CollectStep } from "./collect.js";
import { JudgeStep } from "./judge.js";
import { LabelStep } from "./label.js";
import { Opened } from "./opened.js";
import { language, LANGUAGES, startLanguage, t } from "./strings.js";
import { TrainStep } from "./train.js";
import { TryStep } from "./try.js";
import { App, Bar, html, isTyping, save, STEPS, valueOf } from "./ui.js";
/** @import { Engine, Job } from "./engine.js" */

/** @type {{ [step: string]: (given: { app: App }) => any }} */
const PARTS = {
  collect: CollectStep,
  label: LabelStep,
  check: CheckStep,
  train: TrainStep,
  judge: JudgeStep,
  try: TryStep,
};

/** @type {(app: App) => void} */
function stepFromAddress(app) {
  const step = STEPS.find((each) => `#${each}` === location.hash);
  if (step) app.step.value = step;
}

/** @param {{ app: App }} given */
function Steps({ app }) {
  const step = app.step.value;
  useEffect(() => { // on a phone the steps do not fit side by side
    document.querySelector(".steps [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [step]);
  return html`<nav class="steps" aria-label=${t("steps")}>
    ${
    STEPS.map((step, number) =>
      html`<a href=${`#${step}`} aria-current=${app.step.value === step ? "step" : null}>
        <span class="number" aria-hidden="true">${number + 1}</span> ${t(`step_${step}`)}</a>`
    )
  }
  </nav>`;
}

/** Undo, redo, save as a zip, language. @param {{ app: App }} given */
function Tools({ app }) {
  const { engine } = app;
  const { undo, redo } = engine.state.value;
  const zip = async () => {
    const made = await app.attempt(() => engine.zip());
    if (made) save(made);
  };
  return html`
    <div class="frame-tools">
      <button type="button" class="quiet" id="undo" disabled=${!undo} title=${undo
        ? t("undo_what", { what: undo })
        : t("undo")}
        aria-label=${undo ? t("undo_what", { what: undo }) : t("undo")} aria-keyshortcuts="Control+Z"
        onClick=${() => app.attempt(() => engine.undo(), t("undone"))}>↶</button>
      <button type="button" class="quiet" id="redo" disabled=${!redo} title=${redo
        ? t("redo_what", { what: redo })
        : t("redo")}
        aria-label=${redo ? t("redo_what", { what: redo }) : t("redo")} aria-keyshortcuts="Control+Shift+Z"
        onClick=${() => app.attempt(() => engine.redo(), t("redone"))}>↷</button>
      <button type="button" class="quiet" id="save-zip" title=${t("save_zip_hint")} onClick=${zip}>${t(
        "save_zip",
      )}</button>
      <select class="quiet" id="language" aria-label=${t("language")} value=${language.value}
        onChange=${(/** @type {Event} */ event) => (language.value = valueOf(event))}>
          ${Object.entries(LANGUAGES).map(([code, name]) => html`<option value=${code}>${name}</option>`)}
        </select>
    </div>
  `;
}

/** Long work that is going on. @param {{ app: App }} given */
function Jobs({ app }) {
  const jobs = app.engine.state.value.jobs.filter(({ status, kind }) =>
    status === "running" && kind !== "train" && !(kind === "checks" && app.step.value === "check")
  );
  return html`${
    jobs.map((/** @type {Job} */ job) =>
      html`<div class="job" key=${job.id}><span>${job.title}</span>
        <${Bar} done=${job.done} total=${job.total} label=${job.title} /><span class="hint">${job.sentence}</span>
        <button type="button" onClick=${() => app.attempt(() => app.engine.cancel(job.id))}>${
        t("cancel")
      }</button></div>`
    )
  }`;
}

/** @param {{ app: App }} given */
function Frame({ app }) {
  const { engine } = app;
  useEffect(() => {
    document.documentElement.lang = language.value;
    document.title = t("title");
  }, [language.value]);
  const failed =
    useComputed(() =>
      engine.state.value.jobs.filter(({ status, error }) => status === "failed" && error).at(-1)?.error ?? ""
    ).value;
  const Part = PARTS[app.step.value];
  return html`
    <${Steps} app=${app} />
    <${Tools} app=${app} />
    <div class="notes" role="alert">
      ${engine.lost.value && html`<p class="trouble">${t("connection_lost")}</p>`}
      ${app.trouble.value &&
        html`<p class="trouble" id="trouble">${app.trouble.value}
          <button type="button" class="quiet" aria-label=${
          t("close")
        } onClick=${() => (app.trouble.value = "")}>×</button></p>`}
      ${failed && html`<p class="trouble">${failed}</p>`}
    </div>
    <p class="said hint" id="said" role="status" aria-live="polite">${app.said.value}</p>
    <${Jobs} app=${app} />
    <section class=${`step step-${app.step.value}`} aria-label=${t(`step_${app.step.value}`)}>
      <${Part} app=${app} />
    </section>
    ${app.opened.value && html`<${Opened} app=${app} key=${app.opened.value.id} />`}
  `;
}

/** Say what long work has added, once it is done. @type {(app: App) => void} */
function sayResults(app) {
  /** @type {Set<string>} */
  const running = new Set();
  app.engine.state.subscribe(({ jobs }) => {
    for (const { id, status, kind, result } of jobs) {
      if (status === "running") running.add(id);
      else if (running.delete(id) && status === "done" && kind === "known" && result) app.say(addedSentence(result));
    }
  });
}

/** Start the page on an engine. @type {(engine: Engine) => Promise<void>} */
export async function startStudio(engine) {
  startLanguage();
  startTheme();
  const app = new App(engine);
  stepFromAddress(app);
  addEventListener("hashchange", () => stepFromAddress(app));
  sayResults(app);
  app.step.subscribe((step) => {
    app.said.value = "";
    if (location.hash !== `#${step}`) history.replaceState(null, "", `#${step}`);
  });
  addEventListener("keydown", (event) => {
    if (isTyping(event) || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    const { undo, redo } = engine.state.value;
    event.preventDefault();
    if (event.shiftKey ? redo : undo) {
      app.attempt(() => (event.shiftKey ? engine.redo() : engine.undo()), t(event.shiftKey ? "redone" : "undone"));
    }
  });
  for (const type of ["dragover", "drop"]) {
    addEventListener(type, (event) => event.preventDefault()); // else the browser would leave the page for the file
  }
  await app.attempt(() => engine.start());
  if (app.place.value === null) app.show(engine.state.value.classes[0]?.name ?? null);
  const root = document.getElementById("studio");
  if (root === null) throw new Error("The page has no element with the id studio.");
  render(h(Frame, { app }), root);
  Object.assign(globalThis, { studio: app }); // for other programs and our tests
  document.documentElement.dataset.ready = "yes";
}
