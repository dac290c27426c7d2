// @ts-check
// The page's first module: what needs no image starts at once, the rest when the sheets of images are decoded.

import { byId } from "../../pages/js/elements.js";
import { startTheme } from "../../pages/js/theme.js";
import { startClasses } from "./classes.js";
import { startCoverage } from "./coverage.js";
import { startCurves } from "./curves.js";
import { drawTiles } from "./data.js";
import { startEmbedding } from "./embedding.js";
import { startGallery } from "./gallery.js";
import { startLabels } from "./labels.js";
import { startMatrix } from "./matrix.js";
import { startReliability } from "./reliability.js";
import { startViewer } from "./viewer.js";

/** @type {() => void} */
function startCopy() {
  const button = document.getElementById("copy");
  if (!button || !navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(byId("command").textContent);
      button.textContent = "Copied";
    } catch {
      getSelection()?.selectAllChildren(byId("command")); // the browser forbids copying: select, for Ctrl-C
    }
  });
}

startTheme();
startCurves();
startReliability();
startCoverage();
startClasses();
startCopy();
startMatrix();
startViewer();
/** @type {NodeListOf<HTMLImageElement>} */
const sheets = document.querySelectorAll("img.sheet");
Promise.all([...sheets].map((sheet) => sheet.decode())).then(() => {
  startGallery();
  startLabels();
  drawTiles();
  startEmbedding();
  document.documentElement.dataset.ready = "yes";
});
