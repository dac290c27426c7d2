// @ts-check
// Step 3: what is wrong with the pictures, and the clicks that mend it.

import { useState } from "../vendor/preact-hooks.js";
import { t } from "./strings.js";
import { Bar, html, Shown } from "./ui.js";
/** @import { Finding } from "./engine.js" */
/** @import { App } from "./ui.js" */

const SHOWN = 24; // pictures of a finding at first
const DELETABLE = ["duplicates", "near_duplicates", "leaks", "blank", "bad_files"]; // where all of them may go

/** Pictures by the class that each seems to have. @type {(ids: string[], suggested: Map<string, string | null>) => Map<string, string[]>} */
function byClass(ids, suggested) {
  /** @type {Map<string, string[]>} */
  const to = new Map();
  for (const id of ids) {
    const name = suggested.get(id);
    if (name) to.set(name, [...(to.get(name) ?? []), id]);
  }
  return to;
}

/** @param {{ app: App, finding: Finding }} given */
function Found({ app, finding }) {
  const [shown, setShown] = useState(SHOWN);
  const [mended, setMended] = useState(/** @type {Set<string>} */ (new Set()));
  const ids = finding.ids.filter((id) => !mended.has(id));
  const twin = new Map((finding.pairs ?? []).map(([other, id]) => [id, other]));
  const suggested = new Map(finding.ids.map((id, place) => [id, finding.suggested?.[place] ?? null]));
  const mend = async (
    /** @type {string[]} */ which,
    /** @type {() => Promise<void>} */ work,
    /** @type {string} */ done,
  ) => {
    const made = await app.attempt(async () => {
      await work();
      return true;
    }, done);
    if (made) setMended((before) => new Set([...before, ...which]));
  };
  const remove = (/** @type {string[]} */ which) =>
    mend(which, () => app.engine.remove(which), t("deleted", { n: which.length }));
  const move = (/** @type {string} */ id, /** @type {string} */ to) =>
    mend([id], () => app.engine.move([id], to), t("moved", { n: 1, place: to }));
  const canMove = ids.some((id) => suggested.get(id));
  const moveAll = async () => {
    for (const [name, some] of byClass(ids, suggested)) {
      await mend(some, () => app.engine.move(some, name), t("moved", { n: some.length, place: name }));
    }
  };
  return html`<li class="finding" data-code=${finding.code}><h3>${finding.sentence}</h3>
    ${
    ids.length > 0 && html`
      <ul class="strip">${ids.slice(0, shown).map((id) =>
        html`<li key=${id}><button type="button" class="picture" aria-label=${
          t("open_picture", { name: id })
        } onClick=${() => app.open(id)}>
          <${Shown} engine=${app.engine} id=${id} />${
          twin.has(id) && html`<${Shown} engine=${app.engine} id=${twin.get(id)} />`
        }</button>
          ${
          suggested.get(id)
            ? html`<button type="button" class="small" onClick=${() => move(id, suggested.get(id) ?? "")}>→ ${
              suggested.get(id)
            }</button>`
            : DELETABLE.includes(finding.code) &&
              html`<button type="button" class="small quiet" aria-label=${
                t("delete_picture", { name: id })
              } onClick=${() => remove([id])}>×</button>`
        }</li>`
      )}</ul>
      <div class="tools">
            ${ids.length > shown &&
              html`<button type="button" onClick=${() => setShown(shown + 100)}>${
                t("more", { n: ids.length - shown })
              }</button>`}
            ${canMove && html`<button type="button" onClick=${moveAll}>${t("move_all")}</button>`}
            ${!canMove && DELETABLE.includes(finding.code) &&
              html`<button type="button" onClick=${() => remove(ids)}>${t("delete_all", { n: ids.length })}</button>`}
          </div>
    `
  }</li>`;
}

/** @param {{ app: App }} given */
export function CheckStep({ app }) {
  const { engine } = app;
  const job = engine.state.value.jobs.filter(({ kind }) => kind === "checks").at(-1) ?? null;
  const running = job?.status === "running";
  /** @type {Finding[] | null} */
  const findings = job?.result?.findings ?? null;
  return html`<div class="line"><h2>${t("step_check")}</h2>
      <button type="button" id="run-checks" class="primary" disabled=${running} onClick=${() =>
    app.attempt(() => engine.checks())}>${t("run_checks")}</button></div>
    <p class="lead">${t("check_how")}</p>
    ${
    running && html`
      <p
        class="tools"><${Bar} done=${job.done} total=${job.total} label=${t("step_check")} /> <span class="hint">${job
          .sentence}</span>
            <button type="button" onClick=${() => app.attempt(() => engine.cancel(job.id))}>${t("cancel")}</button></p>
    `
  }
    ${
    findings && (findings.length > 0 || !running) && html`
      <p role="status" id="findings-count">${t("findings", { n: findings.length })}</p>
      <ul class="findings">${findings.map((finding, place) =>
        html`<${Found} key=${`${job?.id}/${place}`} app=${app} finding=${finding} />`
      )}</ul>
    `
  }`;
}
