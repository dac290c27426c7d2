// @ts-check
// One picture, opened where it lies: looked at, moved to another class, put into a group, deleted.

import { useEffect, useRef, useState } from "../vendor/preact-hooks.js";
import { percent } from "../elements.js";
import { t } from "./strings.js";
import { html, placeName, Shown, valueOf } from "./ui.js";
/** @import { App } from "./ui.js" */
/** @import { Picture, Place } from "./engine.js" */

/** @param {{ app: App }} given */
export function Opened({ app }) {
  const { engine } = app;
  const id = app.opened.value?.id ?? "";
  const mistake = app.opened.value?.mistake ?? null;
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [picture, setPicture] = useState(/** @type {Picture | null} */ (null));
  const [place, setPlace] = useState(app.place.value);
  useEffect(() => {
    dialog.current?.showModal();
    app.attempt(() => engine.find(id)).then((found) => {
      setPicture(found?.picture ?? null);
      if (found) setPlace(found.place);
    });
  }, [id]);
  const close = () => (app.opened.value = null);
  const move = async (/** @type {Place} */ to) => {
    close();
    await app.attempt(() => engine.move([id], to), t("moved", { n: 1, place: placeName(to) }));
  };
  const remove = async () => {
    close();
    await app.attempt(() => engine.remove([id]), t("deleted", { n: 1 }));
  };
  const regroup = (/** @type {Event} */ event) =>
    app.attempt(() => engine.group([id], valueOf(event).trim() || null), t("saved"));
  return html`<dialog class="opened" ref=${dialog} aria-labelledby="opened-title" onClose=${close}>
    <form method="dialog"><h2 id="opened-title">${placeName(place)}</h2>
      <button class="quiet" aria-label=${t("close")}>×</button></form>
    <div class="large"><${Shown} engine=${engine} id=${id} hash=${picture?.hash} whole=${true} label=${
    placeName(place)
  } /></div>
    ${
    mistake &&
    html`
      <p>${t("mistake_sentence", {
        label: mistake.label,
        answer: mistake.answer,
        sure: percent(mistake.probability),
      })}</p>
      <div class="tools">
        <button type="button" class="primary" onClick=${() => move(mistake.answer)}>${t("it_is", {
          name: mistake.answer,
        })}</button>
        <button type="button" onClick=${close}>${t("label_is_right", { name: mistake.label })}</button>
      </div>
    `
  }
    <div class="settings">
      <label><span>${t("move_to")}</span>
        <select value=${place ?? ""} onChange=${(/** @type {Event} */ event) => move(valueOf(event) || null)}>
          <option value="">${t("tray")}</option>
          ${engine.state.value.classes.map(({ name }) => html`<option value=${name}>${name}</option>`)}
        </select></label>
      <label><span>${t("group")}</span>
        <input type="text" value=${picture?.group ?? ""} placeholder=${t("group_hint")} onChange=${regroup} /></label>
    </div>
    <div class="tools"><button type="button" onClick=${remove}>${t("delete")}</button></div>
    <p class="hint">${id}${picture ? ` · ${picture.width}×${picture.height}` : ""}</p>
  </dialog>`;
}
