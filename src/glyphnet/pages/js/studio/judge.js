// @ts-check
// Step 5: the report of a run, its mistakes, and how the accuracy went with the pictures.

import { percent } from "../elements.js";
import { useEffect, useState } from "../vendor/preact-hooks.js";
import { language, locale, number, t } from "./strings.js";
import { accuracyOf, Mistakes } from "./train.js";
import { html, valueOf } from "./ui.js";
/** @import { Accuracy, Mistake, Run, Version } from "./engine.js" */
/** @import { App } from "./ui.js" */

/** Which of some runs it is about. @param {{ app: App, runs: Run[] }} given */
export function ChooseRun({ app, runs }) {
  return html`<label class="choose-run"><span>${t("run")}</span> <select id="run" value=${app.current(runs)?.name ?? ""}
    onChange=${(/** @type {Event} */ event) => (app.run.value = valueOf(event))}>
    ${[...runs].reverse().map((run) => html`<option value=${run.name}>${run.name} · ${accuracyOf(run)}</option>`)}
  </select></label>`;
}

/** @type {(accuracy: Accuracy | number | null) => string} */
function shareOf(accuracy) {
  if (accuracy === null) return "–";
  return percent(typeof accuracy === "number" ? accuracy : accuracy.value);
}

/** Every version of the pictures with what changed and what was reached. @param {{ app: App }} given */
function History({ app }) {
  const { engine } = app;
  const [versions, setVersions] = useState(/** @type {Version[]} */ ([]));
  const { runs } = engine.state.value;
  useEffect(() => {
    app.attempt(() => engine.versions()).then((found) => setVersions(found ?? []));
  }, [runs.length, runs.at(-1)?.status]);
  if (!versions.length) return null;
  return html`
    <h3>${t("history")}</h3>
    <div class="scroll" tabindex="0" role="group" aria-label=${t("history")}>
      <table class="runs" id="history">
        <thead>
          <tr>
            <th scope="col">${t("version")}</th>
            <th scope="col">${t("made")}</th>
            <th scope="col">${t("pictures_word")}</th>
            <th scope="col">${t("changes")}</th>
            <th scope="col">${t("accuracy")}</th>
          </tr>
        </thead>
        <tbody>${[...versions].reverse().map((version) =>
          html`
            <tr key=${version.hash}>
              <th scope="row"><abbr title=${version.hash}>${version.name || version.hash.slice(0, 8)}</abbr></th>
              <td>${new Date(version.made).toLocaleString(locale())}</td>
              <td>${number(version.count)}</td>
              <td>${t("version_changes", {
                added: number(version.added),
                removed: number(version.removed),
                moved: number(version.moved),
              })}</td>
              <td>${version.runs.map(({ name, accuracy }) =>
                html`<div>${name}: <b>${shareOf(accuracy)}</b></div>`
              )}</td>
            </tr>
          `
        )}</tbody>
      </table>
    </div>
  `;
}

/** The report, inside the page. @param {{ app: App, run: Run }} given */
function Report({ app, run }) {
  const [address, setAddress] = useState("");
  useEffect(() => {
    app.attempt(async () => await app.engine.report(run.name)).then((found) => setAddress(found ?? ""));
  }, [run.name, run.finished, language.value]);
  return address && html`
    <h3>${t("report")} <a class="hint" href=${address} target="_blank" rel="noopener">${t("report_alone")}</a></h3>
    <iframe class="report" id="report" src=${address} title=${t("report")}></iframe>
  `;
}

/** @param {{ app: App }} given */
export function JudgeStep({ app }) {
  const { engine } = app;
  const run = app.current(app.judged);
  const [mistakes, setMistakes] = useState(/** @type {Mistake[] | null} */ (null));
  useEffect(() => {
    setMistakes(null);
    if (run) app.attempt(() => engine.mistakes(run.name)).then((found) => setMistakes(found ?? []));
  }, [run?.name]);
  if (run === null) return html`<p class="empty hint">${t("judge_none")}</p>`;
  const { changed } = engine.state.value;
  return html`<div class="line"><${ChooseRun} app=${app} runs=${app.judged} />
      ${
    changed &&
    html`<button type="button" id="retrain" onClick=${() => (app.step.value = "train")}>${
      t("changed_retrain")
    }</button>`
  }</div>
    <p class="accurate" id="judged">${accuracyOf(run)}</p>
    <h3>${t("mistakes")} ${mistakes ? `(${number(mistakes.length)})` : ""}</h3><p class="hint">${t("mistakes_how")}</p>
    ${mistakes && html`<${Mistakes} app=${app} mistakes=${mistakes} />`}
    <${History} app=${app} />
    ${run.report && html`<${Report} app=${app} run=${run} key=${run.name} />`}`;
}
