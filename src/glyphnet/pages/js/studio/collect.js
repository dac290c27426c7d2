// @ts-check
// Step 1: classes, and the pictures in them: drawn, dropped, pasted, from a camera or from a set that is at hand.

import { useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact-hooks.js";
import { Recorder } from "./camera.js";
import { DrawingPad, drawnPicture } from "./drawing.js";
import { droppedFiles, filesOf } from "./drops.js";
import { faultOfName } from "./engine.js";
import { Grid, removeChosen } from "./grid.js";
import { number, t } from "./strings.js";
import { html, isTyping, placeName, valueOf } from "./ui.js";
/** @import { Pad } from "../pad.js" */
/** @import { Sheet } from "../sheet.js" */
/** @import { Added, Given } from "./engine.js" */
/** @import { App } from "./ui.js" */

const SOURCES = /** @type {const} */ (["draw", "files", "camera", "known"]);

/** Add files to the place that is shown, and say what became of them. @type {(app: App, files: Given[]) => Promise<Added | null>} */
export async function addFiles(app, files) {
  if (!files.length) return null;
  const made = await app.attempt(() => app.engine.add(app.place.value, app.group.value.trim() || null, files));
  if (made === null) return null;
  app.say(addedSentence(made));
  return made;
}

/** What became of files, in words. @type {(made: Added) => string} */
export function addedSentence(made) {
  const sentences = [t("added", { n: made.added.length })];
  if (made.same.length) sentences.push(t("same", { n: made.same.length }));
  if (made.refused.length) {
    const some = made.refused.slice(0, 3).map(({ name, reason }) => `${name}: ${reason}`).join(" · ");
    sentences.push(t("refused", { n: made.refused.length, which: some }));
  }
  return sentences.join(" ");
}

/** Make a class that does not exist yet. @param {{ app: App }} given */
function NewClass({ app }) {
  const [name, setName] = useState("");
  const [fault, setFault] = useState("");
  const add = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const wrong = faultOfName(name.trim(), app.engine.state.value.classes);
    setFault(wrong ? t(wrong, { name: name.trim() }) : "");
    if (wrong) return;
    const wanted = name.trim();
    setName("");
    await app.attempt(() => app.engine.addClass(wanted), t("class_made", { name: wanted }));
    app.show(wanted);
  };
  return html`<form class="new-class" onSubmit=${add}>
    <input type="text" id="new-class" aria-label=${t("new_class")} placeholder=${t("new_class")} value=${name}
      onInput=${(/** @type {Event} */ event) => setName(valueOf(event))} autocomplete="off" />
    <button type="submit" aria-label=${t("add_class")}>+</button>
    ${fault && html`<p class="trouble" role="alert">${fault}</p>`}
  </form>`;
}

/** The classes and the tray; pictures may be dragged onto them. @param {{ app: App }} given */
function Places({ app }) {
  const { classes, tray } = app.engine.state.value;
  const entry = (/** @type {string | null} */ place, /** @type {number} */ count) =>
    html`<li key=${place ?? "\u0000"}><button type="button" class=${`place${place === null ? " tray" : ""}`}
      aria-current=${app.place.value === place ? "true" : null} onClick=${() => app.show(place)}>
      <span class="name">${placeName(place)}</span> <span class="count">${number(count)}</span></button></li>`;
  return html`
    <nav class="places" aria-label=${t("classes")}>
      <ul>${classes.map(({ name, count }) => entry(name, count))}${entry(null, tray)}</ul>
      <${NewClass} app=${app} />
    </nav>
  `;
}

/** The name of the class, to be changed or deleted. @param {{ app: App }} given */
function Heading({ app }) {
  const place = app.place.value;
  const [renaming, setRenaming] = useState(/** @type {string | null} */ (null));
  const [fault, setFault] = useState("");
  useEffect(() => setRenaming(null), [place]);
  const { classes, tray } = app.engine.state.value;
  const count = place === null ? tray : classes.find(({ name }) => name === place)?.count ?? 0;
  const rename = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const to = (renaming ?? "").trim();
    const wrong = to === place ? null : faultOfName(to, classes);
    setFault(wrong ? t(wrong, { name: to }) : "");
    if (wrong || place === null) return;
    setRenaming(null);
    if (to === place) return;
    await app.attempt(() => app.engine.renameClass(place, to), t("class_renamed", { name: to }));
    app.show(to);
  };
  const remove = async () => {
    if (place === null) return;
    await app.attempt(() => app.engine.deleteClass(place), t("class_deleted", { name: place }));
    app.show(app.engine.state.value.classes.find(({ name }) => name !== place)?.name ?? null);
  };
  if (renaming !== null) {
    return html`<form class="line" onSubmit=${rename}><div class="tools">
      <input type="text" id="rename" aria-label=${t("new_name")} value=${renaming}
        onInput=${(/** @type {Event} */ event) => setRenaming(valueOf(event))} />
      <button type="submit">${t("rename")}</button>
      <button type="button" onClick=${() => setRenaming(null)}>${t("cancel")}</button></div>
      ${fault && html`<p class="trouble" role="alert">${fault}</p>`}</form>`;
  }
  return html`<div class="line"><h2>${placeName(place)} <span class="count">${t("pictures", { n: count })}</span></h2>
    ${
    place !== null && html`<div class="tools">
      <button type="button" class="quiet" onClick=${() => setRenaming(place)}>${t("rename")}…</button>
      <button type="button" class="quiet" onClick=${remove}>${t("delete_class")}</button></div>`
  }</div>`;
}

/** @param {{ app: App }} given */
function Draw({ app }) {
  const drawn = useRef(/** @type {{ sheet: Sheet, pad: Pad } | null} */ (null));
  const [empty, setEmpty] = useState(true);
  const clear = () => {
    drawn.current?.sheet.clear();
    drawn.current?.pad.paint();
    setEmpty(true);
  };
  const add = async () => {
    const sheet = drawn.current?.sheet;
    if (!sheet || sheet.empty) return;
    const blob = await drawnPicture(sheet);
    clear(); // at once: the next drawing may begin while this one is saved
    if (blob === null) app.trouble.value = t("no_drawing");
    else await addFiles(app, [{ name: "drawing.png", blob }]);
  };
  const latest = useRef(add);
  latest.current = add;
  useEffect(() => {
    const pressed = (/** @type {KeyboardEvent} */ event) => {
      if (
        isTyping(event) || event.target instanceof HTMLButtonElement || app.opened.value || drawn.current?.sheet.empty
      ) return;
      if (event.key === "Enter") latest.current();
      else if (event.key === "Escape") clear();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  return html`
    <div class="draw">
      <${DrawingPad} label=${t("pad_label", { name: placeName(app.place.value) })}
        made=${(/** @type {Sheet} */ sheet, /** @type {Pad} */ pad) => (drawn.current = { sheet, pad })}
        changed=${() => setEmpty(drawn.current?.sheet.empty ?? true)} />
      <div
        class="tools"><button type="button" id="add-drawing" class="primary" disabled=${empty} aria-keyshortcuts="Enter"
            onClick=${add}>${t("add_to", { name: placeName(app.place.value) })}</button>
          <button type="button" id="clear" disabled=${empty} aria-keyshortcuts="Escape" onClick=${clear}>${t(
            "clear",
          )}</button></div>
      <p class="hint">${t("draw_hint")}</p>
    </div>
  `;
}

/** @param {{ app: App }} given */
function Files({ app }) {
  const take = async (/** @type {Event} */ event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    const files = filesOf(input.files);
    input.value = ""; // the same file may be opened again
    await addFiles(app, files);
  };
  return html`
    <div class="files">
      <p>${t("files_hint")}</p>
      <div class="tools">
        <button type="button" class="primary" onClick=${() => document.getElementById("choose-files")?.click()}>${t(
          "choose_files",
        )}</button>
        <button type="button" onClick=${() => document.getElementById("choose-folder")?.click()}>${t(
          "choose_folder",
        )}</button>
      </div>
      <input type="file" id="choose-files" multiple hidden accept="image/*,.zip" aria-label=${t("choose_files")}
        onChange=${take} />
      <input type="file" id="choose-folder" webkitdirectory hidden aria-label=${t("choose_folder")} onChange=${take} />
      <p class="hint">${t("files_more")}</p>
    </div>
  `;
}

/** @param {{ app: App }} given */
function Known({ app }) {
  const sets = app.engine.state.value.known;
  const [name, setName] = useState(sets[0]?.name ?? "");
  const [many, setMany] = useState("20");
  const [tray, setTray] = useState(false);
  if (!sets.length) return html`<p class="hint">${t("known_none")}</p>`;
  const set = sets.find((each) => each.name === name) ?? sets[0];
  const take = () =>
    app.attempt(() => app.engine.known(set.name, many === "" ? null : Number(many), tray), t("known_started"));
  return html`
    <div class="known">
      <div class="settings">
        <label><span>${t("known_set")}</span><select value=${set.name} onChange=${(/** @type {Event} */ event) =>
          setName(valueOf(event))}>
            ${sets.map((each) => html`<option value=${each.name}>${each.title}</option>`)}</select></label>
        <label><span>${t("per_class")}</span><input type="number" min="1" id="per-class" placeholder=${t(
          "all",
        )} value=${many}
            onInput=${(/** @type {Event} */ event) => setMany(valueOf(event))} /></label>
      </div>
      <label class="tick"><input type="checkbox" checked=${tray} onChange=${() => setTray(!tray)} /> ${t(
        "known_tray",
      )}</label>
      <div
        class="tools"><button type="button" id="take-known" class="primary" onClick=${take}>${t("take")}</button></div>
      ${set.counts && html`<p class="hint">${
        t("known_hint", {
          n: number(set.counts.reduce((sum, each) => sum + each, 0)),
          k: set.classes.length,
        })
      }</p>`}
    </div>
  `;
}

/** What to do with the pictures that are selected. @param {{ app: App }} given */
function Selection({ app }) {
  const { engine } = app;
  const ids = [...app.chosen.value];
  const move = async (/** @type {Event} */ event) => {
    const to = valueOf(event);
    if (to === "") return;
    const place = to === "\u0000" ? null : to;
    await app.attempt(() => engine.move(ids, place), t("moved", { n: ids.length, place: placeName(place) }));
    app.chosen.value = new Set();
  };
  const regroup = async (/** @type {Event} */ event) => {
    await app.attempt(() => engine.group(ids, valueOf(event).trim() || null), t("saved"));
    app.chosen.value = new Set();
  };
  return html`
    <div class="selection" role="group" aria-label=${t("selection")}>
      <b role="status">${t("selected", { n: ids.length })}</b>
      <select id="move-to" aria-label=${t("move_to")} value="" onChange=${move}><option value="">${t(
        "move_to",
      )}…</option>
          ${engine.state.value.classes.filter(({ name }) => name !== app.place.value).map(({ name }) =>
            html`<option value=${name}>${name}</option>`
          )}
          ${app.place.value !== null && html`<option value=${"\u0000"}>${t("tray")}</option>`}</select>
      <input type="text" aria-label=${t("group")} placeholder=${t("group_set")} onChange=${regroup} />
      <button type="button" id="delete-chosen" aria-keyshortcuts="Delete" onClick=${() => removeChosen(app)}>${t(
        "delete",
      )}</button>
      <button type="button" class="quiet" onClick=${() => (app.chosen.value = new Set())}>${t("select_none")}</button>
    </div>
  `;
}

/** Drops and pastes anywhere on the page belong to the place that is shown. @type {(app: App) => () => void} */
function listen(app) {
  const over = (/** @type {DragEvent} */ event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  };
  const leave = (/** @type {DragEvent} */ event) =>
    event.relatedTarget === null && document.body.classList.remove("dropping");
  const drop = async (/** @type {DragEvent} */ event) => {
    document.body.classList.remove("dropping");
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    const files = await app.attempt(() => droppedFiles(/** @type {DataTransfer} */ (event.dataTransfer)));
    await addFiles(app, files ?? []);
  };
  const paste = (/** @type {ClipboardEvent} */ event) => addFiles(app, filesOf(event.clipboardData?.files));
  addEventListener("dragover", over);
  addEventListener("dragleave", leave);
  addEventListener("drop", drop);
  addEventListener("paste", paste);
  return () => {
    removeEventListener("dragover", over);
    removeEventListener("dragleave", leave);
    removeEventListener("drop", drop);
    removeEventListener("paste", paste);
  };
}

/** @param {{ app: App }} given */
export function CollectStep({ app }) {
  const [source, setSource] = useState(/** @type {typeof SOURCES[number]} */ ("draw"));
  useLayoutEffect(() => listen(app), []); // before the step is seen: who sees it can drop
  const { classes, tray } = app.engine.state.value;
  const add = (/** @type {Blob[]} */ blobs) => addFiles(app, blobs.map((blob) => ({ name: "camera.png", blob })));
  const say = (/** @type {string} */ sentence) => (app.trouble.value = sentence);
  const parts = { draw: Draw, files: Files, known: Known, camera: Recorder };
  const sources = html`
    <div class="sources">
      <div class="choice" role="group" aria-label=${t("source")}>${SOURCES.map((each) =>
        html`<button type="button" id=${`source-${each}`} aria-pressed=${source === each} onClick=${() =>
          setSource(each)}>${t(`source_${each}`)}</button>`
      )}</div>
      <${parts[source]} app=${app} add=${add} say=${say} />
      <label class="group-field"><span>${t("group_next")}</span>
          <input type="text" value=${app.group.value} placeholder=${t("group_hint")}
            onInput=${(/** @type {Event} */ event) => (app.group.value = valueOf(event))} /></label>
    </div>
  `;
  // The selection takes the place of the heading: nothing below moves, so that a double click meets one picture.
  let head = html`<${Heading} app=${app} />`;
  if (app.chosen.value.size) head = html`<${Selection} app=${app} />`;
  else if (!classes.length && !tray) {
    head = html`
      <div class="welcome">
        <h2>${t("welcome")}</h2>
        <p class="lead">${t("welcome_how")}</p>
      </div>
    `;
  }
  return html`<div class="columns"><${Places} app=${app} />
    <div class="room"><div class="head">${head}</div><${Grid} app=${app} /></div>
    ${sources}</div>`;
}
