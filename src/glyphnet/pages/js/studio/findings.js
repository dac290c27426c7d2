// @ts-check
// Simple checks of labelled pictures: the same picture twice, blank ones, uneven classes, labels that look wrong.

import { t } from "./strings.js";
/** @import { Alike } from "./alike.js" */
/** @import { ClassCount, Finding } from "./engine.js" */
/** @import { Helper } from "./helper.js" */
/** @import { Kept } from "./store.js" */

const UNEVEN = 5; // times as many pictures as the smallest class
const WANTED = 5; // pictures of a class
const FLAT = 4; // levels between the darkest and the lightest pixel of a blank picture
const MOST_COMPARED = 4_000; // pictures whose neighbours are sought

/**
 * What is found. answers: for each picture the class that a model is sure of, null where it is not; null without a model.
 * A label is suspicious where the pictures most alike all have another one, or the model is sure of another one.
 * @type {(
 *   pictures: Kept[], alikes: (Alike | null)[], counts: ClassCount[], helper: Pick<Helper, "ask">,
 *   answers: (string | null)[] | null,
 * ) => Promise<Finding[]>}
 */
export async function findings(pictures, alikes, counts, helper, answers) {
  const made = [...sameOnes(pictures, alikes), ...blankOnes(pictures, alikes), ...uneven(counts), ...groups(pictures)];
  const labels = Uint8Array.from(pictures, ({ place }) => counts.findIndex(({ name }) => name === place));
  const usable = [...pictures.keys()].filter((row) => alikes[row] !== null && !isBlank(alikes[row])).slice(
    0,
    MOST_COMPARED,
  );
  if (usable.length > 5 && counts.length > 1 && counts.length <= 256) {
    const size = /** @type {Alike} */ (alikes[usable[0]]).pixels.length;
    const x = new Uint8Array(usable.length * size);
    usable.forEach((row, place) => x.set(/** @type {Alike} */ (alikes[row]).pixels, place * size));
    /** @type {Int16Array} */
    const near = await helper.ask({
      type: "neighbours",
      x,
      labels: Uint8Array.from(usable, (row) => labels[row]),
      size,
    });
    const seems = (/** @type {number} */ row, /** @type {number} */ place) => {
      const name = answers?.[row] ?? null;
      const answer = counts.findIndex((each) => each.name === name);
      return { row, label: near[place] >= 0 && near[place] !== labels[row] ? near[place] : answer };
    };
    const odd = usable.map(seems).filter(({ row, label }) => label >= 0 && label !== labels[row]);
    if (odd.length) {
      made.push({
        code: "suspicious_labels",
        sentence: t("finding_suspicious", { n: odd.length }),
        numbers: { n: odd.length },
        ids: odd.map(({ row }) => pictures[row].id),
        suggested: odd.map(({ label }) => counts[label].name),
      });
    }
  }
  return made;
}

/** @type {(alike: Alike | null) => boolean} */
function isBlank(alike) {
  if (alike === null) return false;
  let [least, most] = [255, 0];
  for (const value of alike.pixels) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return !alike.drawn || most - least < FLAT;
}

/** @type {(pictures: Kept[], alikes: (Alike | null)[]) => Finding[]} */
function sameOnes(pictures, alikes) {
  /** @type {Map<string, number[]>} */
  const seen = new Map();
  alikes.forEach((alike, row) => {
    if (alike === null || isBlank(alike)) return;
    const key = String.fromCharCode(...alike.pixels);
    seen.set(key, [...(seen.get(key) ?? []), row]);
  });
  const several = [...seen.values()].filter((rows) => rows.length > 1);
  const isOne = (/** @type {number[]} */ rows) => rows.every((row) => pictures[row].place === pictures[rows[0]].place);
  const twice = several.filter(isOne).flatMap((rows) => rows.slice(1));
  const conflicting = several.filter((rows) => !isOne(rows)).flat();
  /** @type {(code: string, key: string, rows: number[]) => Finding[]} */
  const found = (code, key, rows) =>
    rows.length
      ? [{
        code,
        sentence: t(key, { n: rows.length }),
        numbers: { n: rows.length },
        ids: rows.map((row) => pictures[row].id),
      }]
      : [];
  return [
    ...found("duplicates", "finding_duplicates", twice),
    ...found("conflicting", "finding_conflicting", conflicting),
  ];
}

/** @type {(pictures: Kept[], alikes: (Alike | null)[]) => Finding[]} */
function blankOnes(pictures, alikes) {
  const ids = pictures.filter((_, row) => isBlank(alikes[row])).map(({ id }) => id);
  return ids.length
    ? [{ code: "blank", sentence: t("finding_blank", { n: ids.length }), numbers: { n: ids.length }, ids }]
    : [];
}

/** @type {(counts: ClassCount[]) => Finding[]} */
function uneven(counts) {
  /** @type {Finding[]} */
  const made = counts.filter(({ count }) => count < WANTED).map(({ name, count }) => ({
    code: "few",
    sentence: t("finding_few", { name, n: count, wanted: WANTED }),
    numbers: { n: count },
    ids: [],
  }));
  const filled = counts.filter(({ count }) => count >= WANTED).sort((a, b) => a.count - b.count);
  const [least, most] = [filled[0], filled[filled.length - 1]];
  if (filled.length > 1 && most.count > UNEVEN * least.count) {
    const values = { most: most.name, high: most.count, least: least.name, low: least.count };
    made.push({ code: "imbalance", sentence: t("finding_imbalance", values), numbers: values, ids: [] });
  }
  return made;
}

/** @type {(pictures: Kept[]) => Finding[]} */
function groups(pictures) {
  const n = pictures.filter(({ group }) => group !== null).length;
  if (!n || n === pictures.length) return [];
  return [{ code: "groups", sentence: t("finding_groups", { n, of: pictures.length }), numbers: { n }, ids: [] }];
}
