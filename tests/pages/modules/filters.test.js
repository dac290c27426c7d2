// Steps of the ink, on pictures small enough to check by hand. test_ink_js.py compares the whole with Python.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as filters from "../../../src/glyphnet/pages/js/filters.js";
import { resizeGrey } from "../../../src/glyphnet/pages/js/resample.js";

/** @type {(...rows: number[][]) => any} */
const grey = (...rows) => ({ data: Uint8Array.from(rows.flat()), width: rows[0].length, height: rows.length });

test("Otsu's threshold parts two groups", () => {
  assert.equal(filters.otsuThreshold([10, 10, 12, 200, 201]), 12);
  assert.equal(filters.otsuThreshold([7, 7, 7]), 0);
});

test("ranks are of sorted numbers, not of sorted words", () => {
  assert.equal(filters.upperMedian([100, 9, 20, 3]), 20);
  assert.equal(filters.ranked([5, 1, 4, 2], 1, 1), 5);
});

test("the box around what is at least so dark", () => {
  const image = grey([0, 0, 0], [0, 9, 0], [0, 0, 5]);
  assert.deepEqual(filters.boxOf(image, 5), { top: 1, bottom: 3, left: 1, right: 3 });
  assert.equal(filters.boxOf(image, 10), null);
});

test("pieces touch at corners too", () => {
  const { pieces, count } = filters.piecesOf(grey([1, 0, 0, 1], [0, 1, 0, 1]));
  assert.equal(count, 2);
  assert.deepEqual([...pieces], [1, 0, 0, 2, 0, 1, 0, 2]);
});

test("thickening and thinning by a cross", () => {
  const dot = grey([0, 0, 0], [0, 9, 0], [0, 0, 0]);
  assert.deepEqual([...filters.thicken(dot, 1).data], [0, 9, 0, 9, 9, 9, 0, 9, 0]);
  assert.deepEqual([...filters.thicken(dot, -1).data], new Array(9).fill(0));
});

test("part of a picture has its kind of array", () => {
  const part = filters.cutOut(grey([1, 2, 3], [4, 5, 6]), { top: 0, bottom: 2, left: 1, right: 3 });
  assert.deepEqual(part, { data: Uint8Array.from([2, 3, 5, 6]), width: 2, height: 2 });
});

test("the border has its corners twice", () => {
  assert.deepEqual([...filters.borderOf(grey([1, 2], [3, 4]))], [1, 3, 2, 4, 1, 2, 3, 4]);
});

test("a box filter is the mean", () => {
  assert.deepEqual(resizeGrey(grey([0, 100], [100, 200]), 1, 1, "box"), grey([100]));
});
