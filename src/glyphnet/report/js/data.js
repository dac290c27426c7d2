// The data of the page: see payload.py for what they are.

import { byId } from "../../pages/js/elements.js";

export const data = JSON.parse(byId("data").textContent);

export function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
}

export const images = data.images;
for (const name of ["labels", "predictions", "topClasses", "topProbabilities"]) {
  images[name] = new Uint16Array(bytes(images[name]));
}
for (const name of ["confidence", "loss"]) {
  images[name] = new Float32Array(bytes(images[name]));
}

/** Draw a tile of a sheet on a canvas, pixel by pixel. */
export function drawTile(canvas, sheet, tile) {
  const { width, height, columns } = data.sheets[sheet];
  canvas.width = width;
  canvas.height = height;
  const left = (tile % columns) * width;
  const top = Math.floor(tile / columns) * height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(byId(`sheet-${sheet}`), left, top, width, height, 0, 0, width, height);
  return context;
}

/** Draw image i of the page. */
export function drawImage(canvas, i) {
  return drawTile(canvas, "images", i);
}

/** Draw the tiles that the page itself asks for. */
export function drawTiles() {
  for (const canvas of document.querySelectorAll("canvas[data-tile]")) {
    drawTile(canvas, canvas.dataset.sheet, Number(canvas.dataset.tile));
  }
}
