// Which strokes are a drawing of their own, and when several drawings are told from one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { apart, several } from "../../../src/glyphnet/pages/js/several.js";

const PEN = 0.06;

/** @import { Judged } from "../../../src/glyphnet/pages/js/foreign.js" */
/** @import { Point } from "../../../src/glyphnet/pages/js/sheet.js" */

/** @type {(x: number, top?: number, bottom?: number) => Point[]} */
const bar = (x, top = 0.2, bottom = 0.8) => [[x, top], [x, bottom]];
/** @type {(label: number, than?: { sure?: number, foreign?: number | null, reason?: string | null }) => Judged} */
const judged = (label, { sure = 0.98, foreign = 0.1, reason = null } = {}) => {
  const probabilities = [0, 1, 2].map((each) => each === label ? sure : (1 - sure) / 2);
  return { probabilities, foreign, reason };
};

test("strokes that overlap from left to right are one drawing", () => {
  /** @type {Point[]} */
  const across = [[0.2, 0.5], [0.6, 0.5]];
  assert.equal(apart([bar(0.3), across, bar(0.6)], PEN).length, 1);
});

test("strokes with room between them are several, in reading order", () => {
  assert.deepEqual(apart([bar(0.7), bar(0.2)], PEN), [[bar(0.2)], [bar(0.7)]]);
});

test("a dot or an accent beside a letter is no drawing", () => {
  assert.equal(apart([bar(0.2), bar(0.7, 0.2, 0.25)], PEN).length, 1);
});

const classes = ["a", "b", "c"];
const two = [judged(0), judged(1)];

test("two surely read drawings are two where the whole was refused, left one out, or is like nothing", () => {
  assert.deepEqual(several(classes, judged(2, { reason: "unlike_training" }), two, false), ["a", "b"]);
  assert.deepEqual(several(classes, judged(0), two, true), ["a", "b"]);
  assert.deepEqual(several(classes, judged(2, { foreign: 0.3 }), two, false), ["a", "b"]);
});

test("what is as like the training images as its parts is one drawing", () => {
  assert.equal(several(classes, judged(2, { foreign: 0.11 }), two, false), null);
  assert.equal(several(classes, judged(2, { foreign: null }), [judged(0, { foreign: null }), judged(1)], false), null);
});

test("a class of the joined name is one drawing, and so is what has a part that is not read", () => {
  assert.equal(several(["a", "b", "ab"], judged(2, { reason: "low_confidence" }), two, false), null);
  assert.equal(several(classes, judged(2), [judged(0), judged(1, { sure: 0.5 })], true), null);
  assert.equal(several(classes, judged(2), [judged(0), judged(1, { reason: "unlike_training" })], true), null);
});
