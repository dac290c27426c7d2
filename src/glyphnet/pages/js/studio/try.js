// @ts-check
// Step 6: draw or show something to the camera, see the answer and what it rests on; take the model away.

import { percent } from "../elements.js";
import { pngOfCanvas } from "../png.js";
import { useEffect, useRef, useState } from "../vendor/preact-hooks.js";
import { CameraView, frameOf } from "./camera.js";
import { DrawingPad } from "./drawing.js";
import { ChooseRun } from "./judge.js";
import { t } from "./strings.js";
import { html, save } from "./ui.js";
/** @import { Pad } from "../pad.js" */
/** @import { Sheet } from "../sheet.js" */
/** @import { Predicted } from "./engine.js" */
/** @import { App } from "./ui.js" */

const BARS = 10; // classes that are shown
const PAUSE = 350; // milliseconds between two pictures of the camera

/** Ask for the answer to the newest picture; those that came while one was asked are left out. */
class Asker {
  /** @param {(answer: Predicted | null) => void} show @param {(picture: Blob) => Promise<Predicted | null>} ask */
  constructor(show, ask) {
    this.show = show;
    this.ask = ask;
    /** @type {(() => Promise<Blob>) | null} */
    this.next = null;
    this.asking = false;
  }

  /** @param {() => Promise<Blob>} picture */
  async about(picture) {
    this.next = picture;
    if (this.asking) return;
    this.asking = true;
    while (this.next !== null) {
      const make = /** @type {() => Promise<Blob>} */ (this.next);
      this.next = null;
      const answer = await this.ask(await make());
      if (answer !== null && this.next === null) this.show(answer);
    }
    this.asking = false;
  }

  clear() {
    this.next = null;
    this.show(null);
  }
}

/** @param {{ answer: Predicted | null }} given */
function Answer({ answer }) {
  if (answer === null) {
    return html`
      <div class="answer nothing">
        <p class="name">${t("answer_here")}</p>
      </div>
    `;
  }
  const best = answer.answers.reduce(
    (most, each) => (each.probability > most.probability ? each : most),
    answer.answers[0],
  );
  const shown = answer.answers.length <= BARS
    ? answer.answers
    : [...answer.answers].sort((a, b) => b.probability - a.probability).slice(0, BARS);
  const why = answer.reason === null
    ? ""
    : t(`reason_${answer.reason}`, { name: best.label, sure: percent(best.probability) });
  return html`
    <div class=${`answer${answer.reason ? " rejected" : ""}`}>
          <p class="name" id="answer">${answer.reason === null ? best.label : t("none_of_these")}</p>
          <p class="how" role="status">${answer.reason === null
            ? t("sure", { sure: percent(best.probability) })
            : why}</p>
          ${answer.set.length > 1 && html`<p class="how">${t("set", { names: answer.set.join(", ") })}</p>`}</div>
    <ol class="bars">${shown.map(({ label, probability }) =>
      html`<li key=${label} class=${
        label === best.label ? "true" : ""
      }><span class="name" title=${label}>${label}</span>
        <div class="rail"><div class="fill" style=${{
        width: `${100 * probability}%`,
      }}></div></div><span class="much">${percent(probability)}</span></li>`
    )}</ol>
    <div class="eye">${answer.seen &&
      html`<figure><img src=${answer.seen} alt=${t("seen_alt")} /><figcaption class="hint">${
        t("seen")
      }</figcaption></figure>`}
          ${answer.saliency &&
            html`<figure><img src=${answer.saliency} alt=${
              t("saliency_alt")
            } id="saliency" /><figcaption class="hint">${t("saliency")}</figcaption></figure>`}</div>
  `;
}

/** What can be taken away. @param {{ app: App, run: string }} given */
function Exports({ app, run }) {
  const { engine } = app;
  const take = async (/** @type {string} */ format) => {
    const made = await app.attempt(() => engine.download(run, format));
    if (made) save(made);
  };
  return html`
    <h3>${t("give_away")}</h3>
    <ul
      class="exports">${engine.formats.map((format) =>
        html`<li><button type="button" id=${`export-${format}`} onClick=${() => take(format)}>${
          t(`export_${format}`)
        }</button>
        <span class="hint">${t(`export_${format}_how`)}</span></li>`
      )}<li><button type="button" onClick=${async () => {
        const made = await app.attempt(() => engine.zip());
        if (made) save(made);
      }}>${t("export_zip")}</button><span class="hint">${t("save_zip_hint")}</span></li></ul>
  `;
}

/** Drops and pastes anywhere on the page are asked about. @type {(take: (file: Blob | null | undefined) => void) => () => void} */
function listen(take) {
  const drop = (/** @type {DragEvent} */ event) => take(event.dataTransfer?.files[0]);
  const paste = (/** @type {ClipboardEvent} */ event) => take(event.clipboardData?.files[0]);
  addEventListener("drop", drop);
  addEventListener("paste", paste);
  return () => {
    removeEventListener("drop", drop);
    removeEventListener("paste", paste);
  };
}

/** The pad, and a picture out of a file. @param {{ asker: Asker }} given */
function Desk({ asker }) {
  const drawn = useRef(/** @type {{ sheet: Sheet, pad: Pad } | null} */ (null));
  const [empty, setEmpty] = useState(true);
  const changed = () => {
    const sheet = drawn.current?.sheet;
    setEmpty(sheet?.empty ?? true);
    if (sheet && !sheet.empty) asker.about(() => pngOfCanvas(sheet.canvas));
    else asker.clear();
  };
  const clear = () => {
    drawn.current?.sheet.clear();
    drawn.current?.pad.paint();
    changed();
  };
  const show = (/** @type {Event} */ event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    const file = input.files?.[0];
    input.value = "";
    if (file) asker.about(() => Promise.resolve(file));
  };
  return html`
    <${DrawingPad} label=${t("try_pad")} made=${(
      /** @type {Sheet} */ sheet,
      /** @type {Pad} */ pad,
    ) => (drawn.current = { sheet, pad })} changed=${changed} />
    <div class="tools"><button type="button" id="clear" disabled=${empty} onClick=${clear}>${t("clear")}</button>
      <button type="button" onClick=${() => document.getElementById("try-file")?.click()}>${t("open_one")}</button>
      <input type="file" id="try-file" hidden accept="image/*" aria-label=${t("open_one")} onChange=${show} /></div>
  `;
}

/** Ask about what the camera sees, again and again. @param {{ app: App, asker: Asker }} given */
function Live({ app, asker }) {
  const video = useRef(/** @type {HTMLVideoElement | null} */ (null));
  useEffect(() => {
    const timer = setInterval(() => {
      const seen = video.current;
      if (seen !== null) asker.about(() => frameOf(seen));
    }, PAUSE);
    return () => clearInterval(timer);
  }, []);
  return html`
    <${CameraView} say=${(/** @type {string} */ sentence) => (app.trouble.value = sentence)}
      started=${(/** @type {HTMLVideoElement | null} */ each) => (video.current = each)} />
  `;
}

/** @param {{ app: App }} given */
export function TryStep({ app }) {
  const { engine } = app;
  const run = app.current(app.usable)?.name ?? null;
  const [source, setSource] = useState(/** @type {"draw" | "camera"} */ ("draw"));
  const [answer, setAnswer] = useState(/** @type {Predicted | null} */ (null));
  const named = useRef(run);
  named.current = run;
  const made = useRef(/** @type {Asker | null} */ (null));
  made.current ??= new Asker(
    setAnswer,
    (picture) => app.attempt(() => engine.predict(named.current ?? "", picture, true)),
  );
  const asker = made.current;
  useEffect(() => asker.clear(), [source, run]);
  useEffect(() => listen((file) => file && named.current !== null && asker.about(() => Promise.resolve(file))), []);
  if (run === null) return html`<p class="empty hint">${t("try_none")}</p>`;
  return html`
    <div class="line">
      <${ChooseRun} app=${app} runs=${app.usable} />
    </div>
    <div class="try">
      <div class="desk">
          <div class="choice" role="group" aria-label=${t("source")}>
            <button type="button" aria-pressed=${source === "draw"} onClick=${() => setSource("draw")}>${t(
              "source_draw",
            )}</button>
            <button type="button" id="try-camera" aria-pressed=${source === "camera"} onClick=${() =>
              setSource("camera")}>${t("source_camera")}</button></div>
          ${source === "draw" ? html`<${Desk} asker=${asker} />` : html`<${Live} app=${app} asker=${asker} />`}</div>
      <div class="verdict">
        <${Answer} answer=${answer} />
      </div>
    </div>
    <${Exports} app=${app} run=${run} />
  `;
}
