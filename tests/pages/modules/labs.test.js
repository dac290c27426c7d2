// The live parts of the labs: what they compute, and what they say about it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { powerOfTen, short, written } from "../../../src/glyphnet/pages/js/labs/chart.js";
import * as descent from "../../../src/glyphnet/pages/js/labs/descent.js";
import { scoreSentence } from "../../../src/glyphnet/pages/js/labs/questions.js";

test("numbers have a real minus sign and no minus zero", () => {
  assert.equal(written(-1.25, 2), "−1.25");
  assert.equal(written(-0.0001, 2), "0.00");
  assert.equal(written(1234.5, 1), "1,234.5");
  assert.equal(written(2.5e-7), "2.5·10^−7");
  assert.equal(written(Infinity), "∞");
  assert.equal(short(-0.05), "−0.05");
  assert.deepEqual([-5, -1, 0, 4].map(powerOfTen), ["10⁻⁵", "0.1", "1", "10⁴"]);
});

test("the walk arrives below the largest rate and flies out above it", () => {
  assert.equal(descent.bowl(descent.BOWL.bottom), 0);
  assert.deepEqual(descent.slope(descent.BOWL.bottom), [0, 0]);
  assert(descent.walk({ rate: 0.2, momentum: 0 }).arrived > 0);
  assert(descent.bowl(descent.descend(0.26, 0, 40)[40]) > descent.bowl(descent.BOWL.start));
  assert.match(descent.walkSentence({ rate: 0.26, momentum: 0 }), /leaves the bowl/);
  assert.match(descent.walkSentence({ rate: 0.3, momentum: 0.5 }), /arrives|still/);
});

test("one example a step learns faster at a small rate, and never settles at a large one", () => {
  const small = descent.batches({ size: 1, rate: 0.05, seed: 1 });
  /** @type {(course: [number, number][]) => number} */
  const last = (course) => course[course.length - 1][1];
  assert(last(small.own) < last(small.all));
  assert.equal(small.own.length, 1 + 5 * 64);
  assert.equal(small.all.length, 1 + 5);
  const large = descent.batches({ size: 1, rate: 1.5, seed: 1 });
  assert(last(large.own) > last(large.all));
  assert.equal(descent.batches({ size: 64, rate: 0.05, seed: 1 }).jumps, 0);
});

test("the search keeps the lowest place, turns back, and may end in a side valley", () => {
  const { seen, best } = descent.search({ from: -2, stride: 1, looks: 40 });
  assert.equal(seen.length, 41);
  assert(seen.every(([, height]) => height >= best[1]));
  assert.equal(descent.feel(0, 0.2, 1)[1][0], 0.2);
  const ends = [-3, 0, 2, 5].map((from) => descent.searchSentence({ from, stride: 0.5, looks: 40 }));
  assert(ends.some((text) => text.includes("in the deepest valley,") || text.endsWith("in the deepest valley.")));
  assert(ends.some((text) => text.includes("not in the deepest valley")));
});

test("the score counts", () => {
  assert.equal(scoreSentence(2, 3, 7), "2 of 3 right so far; 4 to go.");
  assert.match(scoreSentence(7, 7, 7), /All of them/);
});
