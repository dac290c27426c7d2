// @ts-check
// Step 4: start, watch, stop and resume trainings, several side by side.

import { drawingContext, percent } from "../elements.js";
import { drawConfusion, drawCurves } from "../playground/charts.js";
import { palette } from "../playground/paint.js";
import { useEffect, useRef, useState } from "../vendor/preact-hooks.js";
import { locale, number, t } from "./strings.js";
import { Bar, Drawn, duration, html, Shown, valueOf } from "./ui.js";
/** @import { Accuracy, Compared, Epoch, Job, Mistake, Run } from "./engine.js" */
/** @import { App } from "./ui.js" */

const MISTAKES = 24; // that are shown

/** An accuracy with its interval, in words. @type {(run: Run) => string} */
export function accuracyOf({ accuracy }) {
  if (accuracy === null) return "–";
  return t("accuracy_interval", {
    value: percent(accuracy.value),
    low: percent(accuracy.low),
    high: percent(accuracy.high),
    n: number(accuracy.n),
  });
}

/** The interval of an accuracy that stands beside it. @type {(accuracy: Accuracy) => string} */
function intervalOf({ low, high, n }) {
  return t("interval", { low: percent(low), high: percent(high), n: number(n) });
}

/** The mistakes of a training; a click opens the picture in its class. @param {{ app: App, mistakes: Mistake[] }} given */
export function Mistakes({ app, mistakes }) {
  if (!mistakes.length) return html`<p class="hint">${t("no_mistakes")}</p>`;
  return html`<ul class="strip mistakes-strip">${
    mistakes.slice(0, MISTAKES).map((mistake) =>
      html`<li key=${mistake.id}><button type="button" class="picture"
        aria-label=${t("mistake_open", { label: mistake.label, answer: mistake.answer })} onClick=${() =>
        app.open(mistake.id, mistake)}>
        <${Shown} engine=${app.engine} id=${mistake.id} /></button>
        <span>${mistake.label} → <b>${mistake.answer}</b></span></li>`
    )
  }</ul>
  ${mistakes.length > MISTAKES && html`<p class="hint">${t("and_more", { n: mistakes.length - MISTAKES })}</p>`}`;
}

/** Curves of a run. @param {{ epochs: Epoch[], kind: "loss" | "accuracy" }} given */
export function Curves({ epochs, kind }) {
  const moments = epochs.map((each) => ({
    epoch: each.epoch,
    train: kind === "loss" ? each.loss : each.accuracy,
    test: kind === "loss" ? each.val_loss : each.val_accuracy,
  }));
  const draw = (/** @type {HTMLElement} */ element) => {
    element.replaceChildren(); // else a chart that was wider would keep its figure wide
    drawCurves(element, t(kind), moments, kind === "accuracy", {
      label: t("curve_label", { name: t(kind) }),
      epoch: t("epoch"),
      locale: locale(),
    });
  };
  return html`<${Drawn} draw=${draw} needs=${[epochs]} name="figure" />`;
}

/**
 * Filters side by side: blue below 0, orange above; those of colours as they are.
 * @param {{ filters: { shape: number[], png: string } }} given
 */
function Filters({ filters: { shape: [count, height, width], png } }) {
  const place = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  useEffect(() => {
    const image = new Image();
    image.onload = () => {
      const canvas = place.current;
      if (canvas === null) return;
      const across = Math.min(count, Math.max(1, Math.floor(canvas.clientWidth / 36)));
      Object.assign(canvas, { width: across * (width + 1), height: Math.ceil(count / across) * (height + 1) });
      const context = drawingContext(canvas, { willReadFrequently: true });
      for (let number = 0; number < count; number++) {
        const [x, y] = [(number % across) * (width + 1), Math.floor(number / across) * (height + 1)];
        context.drawImage(image, 0, number * height, width, height, x, y, width, height);
      }
      const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
      const { low, high, middle } = palette();
      for (let at = 0; at < pixels.data.length; at += 4) {
        const [red, green, blue] = pixels.data.subarray(at, at + 3);
        if (red !== green || green !== blue) continue;
        const strength = (red - 128) / 127;
        const end = strength < 0 ? low : high;
        middle.forEach((
          value,
          c,
        ) => (pixels.data[at + c] = value + Math.min(1, Math.abs(strength)) * (end[c] - value)));
      }
      context.putImageData(pixels, 0, 0);
    };
    image.src = png;
  }, [png]);
  return html`<canvas class="filters" ref=${place} role="img" aria-label=${t("filters_alt")}></canvas>`;
}

/** Deleting a training, which is asked for twice. @param {{ app: App, run: Run }} given */
function DeleteRun({ app, run }) {
  const [asked, setAsked] = useState(false);
  const remove = () => app.attempt(() => app.engine.removeRun(run.name), t("run_deleted", { name: run.name }));
  if (!asked) {
    return html`
      <button type="button" class="quiet delete-run" aria-label=${t("run_delete", { name: run.name })}
        onClick=${() => setAsked(true)}>${t("delete")}…</button>
    `;
  }
  return html`
    <span role="alert">${t("run_delete_ask")}</span>
    <button type="button" class="delete-run" onClick=${remove}>${t("delete")}</button>
    <button type="button" class="quiet" onClick=${() => setAsked(false)}>${t("keep")}</button>
  `;
}

/** How a training stands after its last epoch. @param {{ app: App, last: Epoch, names: string[] }} given */
function Details({ app, last, names }) {
  return html`
    ${last.confusion && html`
      <details open>
        <summary>${t("confusion")}</summary>
        <div class="scroll" tabindex="0" role="group" aria-label=${t("confusion")}>
          <${Drawn} tag="table" name="confusion" needs=${[last.confusion]}
            draw=${(/** @type {HTMLTableElement} */ table) =>
              drawConfusion(table, last.confusion ?? [], names, t("confusion_how"))} />
        </div>
      </details>
    `}
    <details open>
      <summary>${t("mistakes_val")}</summary>
      <${Mistakes} app=${app} mistakes=${last.mistakes} />
    </details>
    ${last.filters && html`
      <details open>
        <summary>${t("filters")}</summary>
        <${Filters} filters=${last.filters} />
      </details>
    `}
  `;
}

/** What is seen of one training. @param {{ app: App, run: Run, job: Job | null }} given */
function Watched({ app, run, job }) {
  const { engine } = app;
  const epochs = engine.epochs.value[run.name] ?? [];
  const last = epochs.at(-1) ?? null;
  const names = last?.classes ?? engine.state.value.classes.map(({ name }) => name);
  useEffect(() => {
    app.attempt(() => engine.loadEpochs(run.name));
  }, [run.name]);
  const running = job?.status === "running";
  // While it runs, by validation pictures; then by those of its test, with the interval.
  const judged = running ? null : run.accuracy;
  const seen = last?.val_accuracy ?? null;
  const score = judged ? percent(judged.value) : seen === null ? "–" : percent(seen);
  const said = [
    judged ? intervalOf(judged) : t("val_accuracy"),
    running && last?.images_per_second ? t("speed", { n: number(Math.round(last.images_per_second)) }) : "",
    running && last?.seconds_left ? t("time_left", { time: duration(last.seconds_left) }) : "",
    running ? job.sentence : "",
  ].filter(Boolean).join(" ");
  return html`<article class="run-card" data-run=${run.name} data-status=${run.status}>
    <div class="line"><h3>${run.name} <span class="hint">${t(`preset_${run.preset}`)}, ${
    t(`status_${run.status}`)
  }</span></h3>
      <div class="tools">${
    running
      ? html`<button type="button" class="stop" onClick=${() =>
        app.attempt(() => engine.cancel(job.id), t("stopping"))}>■ ${t("stop")}</button>`
      : html`${
        run.status !== "done" &&
        html`<button type="button" onClick=${() => app.attempt(() => engine.resume(run.name))}>▶ ${
          t("resume")
        }</button>`
      }<${DeleteRun} app=${app} run=${run} />`
  }</div></div>
    ${running && html`<${Bar} done=${job.done} total=${job.total} label=${run.name} />`}
    <p role="status"><b class="score">${score}</b>${" "}<span class="hint">${said}</span></p>
    ${job?.error && html`<p class="trouble" role="alert">${job.error}</p>`}
    ${
    epochs.length > 1 && html`
      <div class="curves">
        <div>
          <h4>${t("loss")}</h4>
          <${Curves} epochs=${epochs} kind="loss" />
        </div>
        <div>
          <h4>${t("accuracy")}</h4>
          <${Curves} epochs=${epochs} kind="accuracy" />
        </div>
      </div>
      <p class="key hint"><i class="line train"></i> ${t("part_training")} <i class="line test"></i> ${t(
        "part_validation",
      )}</p>
    `
  }
    ${last && html`<${Details} app=${app} last=${last} names=${names} />`}
  </article>`;
}

/** Of which kind the pictures are, where the engine must not find out by itself. @param {{ kinds: string[], kind: string, choose: (kind: string) => void }} given */
function ChooseKind({ kinds, kind, choose }) {
  return html`<label><span>${t("kind")}</span><select id="kind" value=${kind}
    onChange=${(/** @type {Event} */ event) => choose(valueOf(event))}>
      <option value="">${t("kind_auto")}</option>
      ${kinds.map((each) => html`<option value=${each}>${t(`kind_of_${each}`)}</option>`)}</select></label>`;
}

/** The paired test of two runs that have ended. @param {{ app: App, runs: Run[] }} given */
function Paired({ app, runs }) {
  const [made, setMade] = useState(/** @type {Compared | null} */ (null));
  useEffect(() => {
    setMade(null);
    app.attempt(() => app.engine.compare(runs[0].name, runs[1].name)).then(setMade);
  }, [runs.map(({ name, status, finished }) => [name, status, finished].join()).join("\u0000")]);
  return made && html`<p class="paired" id="paired" role="status">${made.sentence}</p>`;
}

/** All trainings, the newest first; those of the names are shown below. @param {{ runs: Run[], names: string[], toggle: (name: string) => void }} given */
function RunTable({ runs, names, toggle }) {
  const heads = ["show", "run", "preset", "accuracy", "time", "status"];
  return html`
    <div class="scroll" tabindex="0" role="group" aria-label=${t("runs")}>
      <table class="runs">
        <caption class="unseen">${t("runs")}</caption>
        <thead>
          <tr>${heads.map((each) => html`<th scope="col">${t(each)}</th>`)}</tr>
        </thead>
        <tbody>${[...runs].reverse().map((run) =>
          html`
            <tr key=${run.name}>
              <td><input type="checkbox" aria-label=${t("show_run", { name: run.name })}
                checked=${names.includes(run.name)} onChange=${() => toggle(run.name)} /></td>
              <th scope="row">${run.name}</th>
              <td>${t(`preset_${run.preset}`)}</td>
              <td>${accuracyOf(run)}</td>
              <td>${duration(run.seconds)}</td>
              <td>${t(`status_${run.status}`)}</td>
            </tr>
          `
        )}</tbody>
      </table>
    </div>
  `;
}

/** @param {{ app: App }} given */
export function TrainStep({ app }) {
  const { engine } = app;
  const { runs, jobs, classes } = engine.state.value;
  const [preset, setPreset] = useState(engine.presets[0]);
  const [seconds, setSeconds] = useState("");
  const [kind, setKind] = useState("");
  const [shown, setShown] = useState(/** @type {string[] | null} */ (null));
  const filled = classes.filter(({ count }) => count > 0).length;
  const start = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const job = await app.attempt(
      () => engine.train({ preset, ...(seconds ? { seconds: Number(seconds) } : {}), ...(kind ? { kind } : {}) }),
      t("training_started"),
    );
    if (job) setShown([job.run ?? "", ...names].slice(0, 3));
  };
  const jobOf = (/** @type {string} */ name) =>
    jobs.filter(({ kind, run }) => kind === "train" && run === name).at(-1) ?? null;
  const names = shown ?? runs.slice(-1).map(({ name }) => name);
  const open = names.flatMap((name) => runs.find((run) => run.name === name) ?? []);
  const toggle = (/** @type {string} */ name) =>
    setShown(names.includes(name) ? names.filter((each) => each !== name) : [...names, name].slice(-3));
  return html`
    <form class="start-train" onSubmit=${start}>
      <div class="choice" role="group" aria-label=${t("preset")}>${engine.presets.map((each) =>
        html`<button type="button" aria-pressed=${preset === each} onClick=${() => setPreset(each)}>${
          t(`preset_${each}`)
        }</button>`
      )}</div>
      <label
        class="seconds"><span>${t("seconds")}</span><input type="number" id="seconds" min="1" step="1" placeholder=${t(
          "by_preset",
        )} value=${seconds}
            onInput=${(/** @type {Event} */ event) => setSeconds(valueOf(event))} /></label>
      ${engine.kinds.length > 0 && html`<${ChooseKind} kinds=${engine.kinds} kind=${kind} choose=${setKind} />`}
      <button type="submit" id="train" class="primary" disabled=${filled < 2}>▶ ${t("train")}</button>
    </form>
        <p class="hint">${filled < 2 ? t("train_needs") : t(`about_${preset}`)}</p>
        ${runs.length > 0 && html`<${RunTable} runs=${runs} names=${names} toggle=${toggle} />`}
        ${open.length === 2 && open.every(({ accuracy, status }) => accuracy !== null && status !== "running") &&
          html`<${Paired} app=${app} runs=${open} />`}
        <div class="side-by-side">${open.map((run) =>
          html`<${Watched} key=${run.name} app=${app} run=${run} job=${jobOf(run.name)} />`
        )}</div>
  `;
}
