// @ts-check
// Several drawings side by side on the sheet: the network was taught single ones, and would read them as one.

import { argmax } from "./network.js";
/** @import { Judged } from "./foreign.js" */
/** @import { Point } from "./sheet.js" */

const GAP = 0.03; // shares of the sheet's width between two drawings, at least
const TALL = 0.5; // a drawing is at least so many times as tall as the tallest; a dot or an accent is none
const SURE = 0.7; // each drawing alone is read with this probability, at least
const BETTER = 1.5; // times as like the training images as all of them together
const MOST = 6; // more than these are not looked at

/**
 * Strokes that stand apart from left to right: those of each drawing. One where nothing stands apart.
 * @type {(strokes: Point[][], pen: number) => Point[][][]}
 */
export function apart(strokes, pen) {
  const spans = strokes.map((stroke) => {
    const [xs, ys] = [stroke.map(([x]) => x), stroke.map(([, y]) => y)];
    return { stroke, left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
  }).sort((a, b) => a.left - b.left);
  /** @type {{ strokes: Point[][], right: number, top: number, bottom: number }[]} */
  const groups = [];
  for (const { stroke, left, right, top, bottom } of spans) {
    const last = groups.at(-1);
    if (last && left - last.right < pen + GAP) {
      last.strokes.push(stroke);
      last.right = Math.max(last.right, right);
      last.top = Math.min(last.top, top);
      last.bottom = Math.max(last.bottom, bottom);
    } else groups.push({ strokes: [stroke], right, top, bottom });
  }
  const tallest = Math.max(...groups.map((group) => group.bottom - group.top));
  const all = groups.every((group) => group.bottom - group.top >= TALL * tallest);
  return all && groups.length <= MOST ? groups.map((group) => group.strokes) : [strokes];
}

/**
 * The names of the drawings, if they are several; null if the whole is one, as ハ or a class "10" is.
 *
 * Each must be read surely when it is alone. And the whole must have been refused, or be much less like the training
 * images than each of them, or show one of them only, since the others were left out.
 * @type {(classes: string[], whole: Judged, parts: Judged[], leftOut: boolean) => string[] | null}
 */
export function several(classes, whole, parts, leftOut) {
  if (parts.length < 2) return null;
  const names = parts.map(({ probabilities }) => classes[argmax(probabilities)]);
  const sure = parts.every(({ probabilities, reason }) => reason === null && Math.max(...probabilities) >= SURE);
  if (!sure || classes.includes(names.join(""))) return null;
  const worst = Math.max(...parts.map(({ foreign }) => foreign ?? Infinity));
  return leftOut || whole.reason !== null || (whole.foreign ?? 0) > BETTER * worst ? names : null;
}
