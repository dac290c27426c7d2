// @ts-check
// Pictures that are opened, dropped or pasted. The browser decodes them, and they never leave it.

import { decodePicture } from "./decode.js";
import { byId } from "./elements.js";

/** @type {(target: Element, show: (picture: ImageBitmap) => void, say: (sentence: string) => void) => void} */
export function startPictures(target, show, say) {
  /** @type {(file: File | undefined) => Promise<void>} */
  const take = async (file) => {
    if (!file) return;
    try {
      show(await decodePicture(file));
    } catch {
      say("This file is no picture that the browser can read, or it is too large.");
    }
  };
  /** @type {(files: FileList | undefined | null) => File | undefined} */
  const first = (files) => Array.from(files ?? []).find((file) => file.type.startsWith("image/")) ?? files?.[0];

  const input = byId("file", HTMLInputElement);
  input.addEventListener("change", () => {
    take(first(input.files));
    input.value = ""; // the same file may be opened again
  });
  addEventListener("paste", (event) => take(first(event.clipboardData?.files)));
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    target.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) target.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    target.classList.remove("dropping");
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    take(first(event.dataTransfer.files));
  });
}
