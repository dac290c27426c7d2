// The live parts of the labs: what they compute, and what they say about it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { powerOfTen, short, written } from "../../../src/glyphnet/pages/js/labs/chart.js";
import * as descent from "../../../src/glyphnet/pages/js/labs/descent.js";
import * as fits from "../../../src/glyphnet/pages/js/labs/fits.js";
import * as numbers from "../../../src/glyphnet/pages/js/labs/numbers.js";
import * as passes from "../../../src/glyphnet/pages/js/labs/passes.js";
import { scoreSentence } from "../../../src/glyphnet/pages/js/labs/questions.js";
import * as sweep from "../../../src/glyphnet/pages/js/labs/sweep.js";
import * as thinned from "../../../src/glyphnet/pages/js/labs/thinned.js";

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

test("a picture is its numbers and a one-hot row", () => {
  assert.deepEqual(numbers.oneHot(2, 4), [0, 0, 1, 0]);
  assert.match(numbers.numbersSentence([0, 3, 0, 9], 7, 2), /one row of 64.*2 of 64 are not 0.*Its label is 7/);
});

test("the derivatives of the passes are those of central differences", () => {
  for (const target of [0, 1]) {
    const x = [1, 0.5];
    const { dv, dw, delta, deltas } = passes.passes(passes.FIRST, x, target);
    /** @type {(change: (weights: passes.Weights, by: number) => void) => number} */
    const measured = (change) => {
      const [up, down] = [1e-5, -1e-5].map((by) => {
        const weights = structuredClone(passes.FIRST);
        change(weights, by);
        return passes.passes(weights, x, target).loss;
      });
      return (up - down) / 2e-5;
    };
    for (const j of [0, 1]) {
      assert(Math.abs(measured((w, by) => w.v[j] += by) - dv[j]) < 1e-8);
      assert(Math.abs(measured((w, by) => w.b[j] += by) - deltas[j]) < 1e-8);
      for (const i of [0, 1]) assert(Math.abs(measured((w, by) => w.w[j][i] += by) - dw[j][i]) < 1e-8);
    }
    assert(Math.abs(measured((w, by) => w.c += by) - delta) < 1e-8);
  }
  const { losses } = passes.learned({ input: 0, target: 1, rate: 1, rounds: 30 });
  assert(losses[30] < losses[0]);
  assert.equal(passes.lines(passes.FIRST, [0, 1], 1, 0.5).length, 16);
});

test("all thinned networks together are the whole network, if units that are left are scaled", () => {
  const values = { units: 6, rate: 0.3, point: 0, scaling: 0 };
  const { sums, chances, mean, whole, spread } = thinned.thinned(values);
  assert.equal(sums.length, 64);
  assert(Math.abs(chances.reduce((sum, each) => sum + each, 0) - 1) < 1e-12);
  assert(Math.abs(mean - whole) < 1e-9 && spread > 0);
  assert(Math.abs(thinned.thinned({ ...values, scaling: 1 }).mean - whole) > 0.1);
  const exact = thinned.allMasks({ hidden: [1, 2], weights: [3, 4], bias: 5 }, 0.5, true);
  assert.deepEqual([...exact.sums], [5, 11, 21, 27]);
  assert.match(thinned.thinnedSentence(values), /Both agree exactly/);
});

test("L1 gives exact zeros, L2 none", () => {
  const { x, y } = fits.regression(1);
  /** @type {(w: number[]) => number} */
  const zeros = (w) => w.filter((each) => each === 0).length;
  assert.equal(zeros(fits.penalised(x, y, 0, 1)), 0);
  assert(zeros(fits.penalised(x, y, 0.3, 0)) >= 3);
});

test("stiff curves have bias, supple ones variance", () => {
  const stiff = fits.resampled({ degree: 0, count: 20, noise: 0.3, seed: 1 });
  const supple = fits.resampled({ degree: 9, count: 20, noise: 0.3, seed: 1 });
  assert(stiff.bias > 0.4 && stiff.bias > supple.bias && supple.variance > 5 * stiff.variance);
});

test("a point far to the right moves the line's border, not the sigmoid's", () => {
  const [near, far] = [5, 12].map((place) => fits.bothFits({ far: place }).borders);
  assert(far[0] - near[0] > 0.3);
  assert(Math.abs(far[1] - near[1]) < 0.05);
});

test("the sweep varies one setting alone and says what is best", () => {
  const part = { x: new Uint8Array(64 * 40), labels: new Uint8Array(40) };
  const samples = {
    isPoints: false,
    shape: /** @type {[number, number, number]} */ ([8, 8, 1]),
    classes: ["0", "1"],
    train: part,
    test: part,
  };
  const place = sweep.VARIED.findIndex(({ name }) => name === "parts");
  assert.deepEqual(sweep.tasks(samples, { varied: place, seed: 1 }).map(({ batch }) => batch), [40, 10, 1, 1]);
  assert.deepEqual(sweep.tasks(samples, { varied: 2, seed: 1 }).map(({ settings }) => settings.momentum), [
    0,
    0.5,
    0.9,
    0.99,
  ]);
  assert.match(
    sweep.sweepSentence([0.1, 0.9, 0.5, 0.2], [1, 1, 1, NaN], 1),
    /0\.1 is best, with 90\.0.*0\.01 is worst.*run away with 1/,
  );
});
