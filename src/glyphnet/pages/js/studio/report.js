// @ts-check
// The report of a training of the page's own engine: one page of figures, without scripts.

import { percent } from "../elements.js";
import { calibrationError, perClass, reliability, wilson } from "./figures.js";
import { escaped } from "./give.js";
import { language, locale, number, t } from "./strings.js";
/** @import { TrainedModel } from "./give.js" */
/** @import { Bin } from "./figures.js" */

const MOST_MISTAKES = 60;
const SIDE = 220; // of the diagram, in the units of its picture

/** @type {(head: string[], rows: string[][]) => string} */
function table(head, rows) {
  const cells = (/** @type {string[]} */ row) =>
    row.map((text, place) => place ? `<td>${text}</td>` : `<th scope="row">${text}</th>`).join("");
  const top = head.map((text) => `<th scope="col">${escaped(text)}</th>`).join("");
  return `<div class="scroll" tabindex="0"><table class="runs"><thead><tr>${top}</tr></thead><tbody>${
    rows.map((row) => `<tr>${cells(row)}</tr>`).join("")
  }</tbody></table></div>`;
}

/** @type {(share: number | null) => string} */
function share(value) {
  return value === null ? "–" : percent(value);
}

/** The diagram: how often answers are right against how sure they are; on the line both are the same. @type {(bins: Bin[]) => string} */
function diagram(bins) {
  const points = bins.map(({ confidence, accuracy, count }) =>
    `<circle cx="${(SIDE * confidence).toFixed(1)}" cy="${(SIDE * (1 - accuracy)).toFixed(1)}" r="${
      Math.min(9, 2 + Math.sqrt(count)).toFixed(1)
    }" fill="currentColor" opacity="0.7"/>`
  );
  return `<svg viewBox="-12 -12 ${SIDE + 24} ${SIDE + 24}" width="${SIDE + 24}" height="${
    SIDE + 24
  }" role="img" aria-label="${
    escaped(t("reliability"))
  }"><rect width="${SIDE}" height="${SIDE}" fill="none" stroke="currentColor" opacity="0.4"/><line x1="0" y1="${SIDE}" x2="${SIDE}" y2="0" stroke="currentColor" stroke-dasharray="4 4" opacity="0.6"/>${
    points.join("")
  }</svg>`;
}

/** @type {(model: TrainedModel) => number[][]} */
export function confusionOf({ classes, judged: { labels, answers } }) {
  const confusion = classes.map(() => classes.map(() => 0));
  labels.forEach((label, row) => confusion[label][answers[row]]++);
  return confusion;
}

/** The mistakes with their pictures, the surest first. @type {(model: TrainedModel, shown: (id: string) => Promise<string | null>) => Promise<string>} */
async function mistakesOf({ classes, judged: { ids, labels, answers, sure } }, shown) {
  const wrong = [...ids.keys()].filter((row) => answers[row] !== labels[row]).sort((a, b) => sure[b] - sure[a]);
  if (!wrong.length) return `<p class="hint">${escaped(t("no_mistakes"))}</p>`;
  const items = [];
  for (const row of wrong.slice(0, MOST_MISTAKES)) {
    const address = await shown(ids[row]);
    const [label, answer] = [classes[labels[row]], classes[answers[row]]].map(escaped);
    const picture = address ? `<img class="shown" src="${escaped(address)}" alt="" width="56" height="56">` : "";
    items.push(`<li>${picture}<span>${label} → <b>${answer}</b> ${percent(sure[row])}</span></li>`);
  }
  const more = wrong.length - items.length;
  return `<ul class="strip mistakes-strip">${items.join("")}</ul>${
    more > 0 ? `<p class="hint">${escaped(t("and_more", { n: more }))}</p>` : ""
  }`;
}

/**
 * The page. shown: a picture by its id, as an address that holds it whole; null where it is gone.
 * @type {(model: TrainedModel, shown: (id: string) => Promise<string | null>) => Promise<string>}
 */
export async function reportPage(model, shown) {
  const { run, classes, judged: { labels, answers, sure }, pictures, images, made, preset } = model;
  const names = classes.map(escaped);
  const confusion = confusionOf(model);
  const right = labels.map((label, row) => label === answers[row]);
  const [n, good] = [right.length, right.filter(Boolean).length];
  const [low, high] = wilson(good, n).map((each) => percent(each));
  const bins = reliability(sure, right);
  const each = perClass(confusion).map((
    { count, precision, recall, f1 },
    label,
  ) => [names[label], number(count), share(precision), share(recall), share(f1)]);
  const cells = confusion.map((
    row,
    label,
  ) => [names[label], ...row.map((count, answer) => count ? (answer === label ? `<b>${count}</b>` : `${count}`) : "")]);
  const buckets = bins.map((
    bin,
  ) => [
    `${percent(bin.low, 0)}–${percent(bin.high, 0)}`,
    number(bin.count),
    percent(bin.confidence),
    percent(bin.accuracy),
  ]);
  const accuracy = t("accuracy_interval", { value: percent(good / n), low, high, n: number(n) });
  const how = t("report_how", {
    preset: t(`preset_${preset}`),
    pictures: number(pictures),
    images: number(images),
    day: new Date(made).toLocaleString(locale()),
  });
  const style = document.querySelector("style")?.textContent ?? ""; // the policy knows it by its hash
  return `<!doctype html><html lang="${language.value}"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${
    escaped(`${t("report")}: ${run}`)
  }</title><style>${style}</style></head>
<body class="studio-page"><main><h1>${escaped(`${t("report")}: ${run}`)}</h1><p class="accurate">${
    escaped(accuracy)
  }</p>
<p class="hint">${escaped(`${how} ${t("report_judged")}`)}</p>
<h2>${escaped(t("each_class"))}</h2>${table([t("class"), t("pictures_word"), t("precision"), t("recall"), "F1"], each)}
<h2>${escaped(t("confusion"))}</h2><p class="hint">${escaped(t("confusion_how"))}</p>${table(["", ...classes], cells)}
<h2>${escaped(t("mistakes"))}</h2>${await mistakesOf(model, shown)}
<h2>${escaped(t("reliability"))}</h2><p class="hint">${
    escaped(t("reliability_how", { error: percent(calibrationError(bins)) }))
  }</p>${diagram(bins)}${table([t("sureness"), t("pictures_word"), t("mean_sure"), t("share_right")], buckets)}
</main></body></html>`;
}
