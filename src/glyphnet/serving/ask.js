// @ts-check
// The page of a served ONNX file: each stroke, and each picture opened, is sent to the service.

import { byId, drawingContext, html, percent } from "../pages/js/elements.js";
import { startTheme } from "../pages/js/theme.js";

/**
 * Prediction in glyphnet/serving: the answer to one picture.
 * @typedef {{
 *   label: string, probability: number, rejected: boolean, reason: string | null,
 *   probabilities: { label: string, probability: number }[],
 * }} Prediction
 */

const pad = byId("pad", HTMLCanvasElement);
const pen = drawingContext(pad);
/** @type {{ classes: string[], reasons: { [code: string]: string } }} */
const model = JSON.parse(byId("model").textContent);
let drawing = false;
const longest = Math.max(...model.classes.map((name) => name.length));
let asked = 0; // the number of the newest question: older answers are dropped

/** @type {() => void} */
function clearPad() {
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, pad.width, pad.height);
  asked += 1;
  byId("name").textContent = "The answer will stand here.";
  byId("sure").textContent = "";
  byId("bars").replaceChildren();
  byId("answer").className = "answer nothing";
}

/** @type {(event: MouseEvent) => [x: number, y: number]} */
function place(event) {
  const box = pad.getBoundingClientRect();
  return [((event.clientX - box.left) * pad.width) / box.width, ((event.clientY - box.top) * pad.height) / box.height];
}

/** @type {(prediction: Prediction) => void} */
function show({ label, probability, rejected, reason, probabilities }) {
  byId("name").textContent = rejected ? "none of these" : label;
  const long = byId("name").textContent.length > 3;
  byId("answer").className = `answer${rejected ? " rejected" : ""}${long ? " long" : ""}`;
  byId("sure").textContent = rejected
    ? `${model.reasons[reason ?? ""]}: most like “${label}”, ${percent(probability)} sure`
    : `${percent(probability)} sure`;
  byId("bars").replaceChildren(...probabilities.map((each) => {
    const fill = html("div", { class: "fill" });
    fill.style.width = `${100 * each.probability}%`;
    const row = html(
      "li",
      {},
      html("span", { class: "name" }, each.label),
      html("div", { class: "rail" }, fill),
      html("span", { class: "much" }, percent(each.probability)),
    );
    row.classList.toggle("best", !rejected && each.label === label);
    return row;
  }));
}

/** @type {(picture: Blob | null) => Promise<void>} */
async function ask(picture) {
  const number = ++asked;
  byId("trouble").textContent = "";
  try {
    const headers = { "Content-Type": "application/octet-stream" };
    const answer = await (await fetch("/predict", { method: "POST", headers, body: picture })).json();
    if (number !== asked) return;
    if (answer.error) byId("trouble").textContent = answer.error.message;
    else show(answer.predictions[0]);
  } catch {
    byId("trouble").textContent = "The service does not answer.";
  }
}

pad.addEventListener("pointerdown", (event) => {
  event.preventDefault();
  pad.setPointerCapture(event.pointerId);
  drawing = true;
  Object.assign(pen, { strokeStyle: "#000", lineWidth: pad.width / 12, lineCap: "round", lineJoin: "round" });
  pen.beginPath();
  pen.moveTo(...place(event));
  pen.lineTo(...place(event));
  pen.stroke();
});
pad.addEventListener("pointermove", (event) => {
  if (!drawing) return;
  pen.lineTo(...place(event));
  pen.stroke();
});
for (const kind of ["pointerup", "pointercancel"]) {
  pad.addEventListener(kind, () => {
    if (!drawing) return;
    drawing = false;
    pad.toBlob(ask);
  });
}
byId("clear").addEventListener("click", clearPad);
byId("open").addEventListener("click", () => byId("file").click());
const input = byId("file", HTMLInputElement);
input.addEventListener("change", () => {
  if (input.files?.length) ask(input.files[0]);
  input.value = "";
});
startTheme();
byId("bars").style.setProperty("--names", `${Math.min(9, 0.6 + 0.55 * longest)}rem`);
clearPad();
document.documentElement.dataset.ready = "yes";
