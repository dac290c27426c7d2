// The live parts of the labs: what they compute, and what they say about it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { powerOfTen, short, written } from "../../../src/glyphnet/pages/js/labs/chart.js";
import * as corrections from "../../../src/glyphnet/pages/js/labs/corrections.js";
import * as descent from "../../../src/glyphnet/pages/js/labs/descent.js";
import * as fits from "../../../src/glyphnet/pages/js/labs/fits.js";
import * as hidden from "../../../src/glyphnet/pages/js/labs/hidden.js";
import * as luck from "../../../src/glyphnet/pages/js/labs/luck.js";
import * as norm from "../../../src/glyphnet/pages/js/labs/norm.js";
import * as numbers from "../../../src/glyphnet/pages/js/labs/numbers.js";
import * as passes from "../../../src/glyphnet/pages/js/labs/passes.js";
import * as rejection from "../../../src/glyphnet/pages/js/labs/rejection.js";
import * as removal from "../../../src/glyphnet/pages/js/labs/removal.js";
import { scoreSentence } from "../../../src/glyphnet/pages/js/labs/questions.js";
import * as solvers from "../../../src/glyphnet/pages/js/labs/solvers.js";
import * as sweep from "../../../src/glyphnet/pages/js/labs/sweep.js";
import * as thinned from "../../../src/glyphnet/pages/js/labs/thinned.js";
import { Network } from "../../../src/glyphnet/pages/js/network.js";
import * as windows from "../../../src/glyphnet/pages/js/labs/window.js";

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
  assert.match(thinned.thinnedSentence(thinned.thinned(values), values), /Both agree exactly/);
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

test("two hidden units part XOR and the pulse by a line, from most starts", () => {
  for (const points of [hidden.xorPoints(), hidden.pulsePoints()]) {
    const all = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => hidden.learnedHidden(points, 300, seed));
    const solved = all.filter(({ right, count }) => right === count);
    assert(solved.length >= 4 && solved.length < 8, "some starts are stuck");
    for (const { line: [a, b, c], hidden: places } of solved) {
      const sides = places.map(([one, two]) => a * one + b * two + c > 0 ? 1 : 0);
      assert.deepEqual(sides, [...points.labels], "the line parts the points in hidden space");
    }
    assert.match(hidden.hiddenSentence(solved[0], 300), /one straight line parts the classes/);
  }
  assert.deepEqual(hidden.inSquare([1, 0, -0.5]).map(([x]) => x), [0.5, 0.5]);
  assert.deepEqual(hidden.inSquare([1, 1, 5]), []);
});

test("L-BFGS finds the bottom of a bowl in few looks, and never goes up", () => {
  const scales = [1, 10, 100];
  /** @type {import("../../../src/glyphnet/pages/js/labs/solvers.js").Objective} */
  const bowl = (w) => ({
    loss: scales.reduce((sum, scale, k) => sum + 0.5 * scale * (w[k] - k) ** 2, 0),
    gradient: Float64Array.from(scales, (scale, k) => scale * (w[k] - k)),
  });
  const course = solvers.lbfgs(bowl, new Float64Array([5, -3, 2]), 60);
  assert(course[course.length - 1] < 1e-9);
  assert(course.every((loss, k) => k === 0 || loss <= course[k - 1]));
});

test("the four ways down begin at one loss, and the gradient of the network is that of differences", () => {
  const courses = [...solvers.solved({ rate: 0.3, seed: 1 })];
  for (const course of courses) assert(Math.abs(course[0] - courses[0][0]) < 1e-6);
  assert(Math.min(...courses[3]) < Math.min(...courses[0]));
  assert.match(solvers.solversSentence(courses, 50), /from low to high: L-BFGS/);
  const { objective, start } = solvers.flat(1);
  const { gradient } = objective(start);
  for (const k of [0, 9, 20, 32]) {
    const [up, down] = [1e-2, -1e-2].map((by) => objective(start.map((each, at) => at === k ? each + by : each)).loss);
    assert(Math.abs((up - down) / 2e-2 - gradient[k]) < 1e-3, `${k}`);
  }
});

test("batch normalisation gives every layer a spread of 1, whatever the weights", () => {
  const x = Float32Array.from({ length: 64 * 100 }, (_, k) => (k * 7919 % 97) / 97);
  for (const gain of [0.25, 4]) {
    const [plain, normed] = [false, true].map((isNormed) => norm.described(norm.layerSums(x, 64, gain, 4, isNormed)));
    assert(Math.abs(normed.spread - 1) < 0.02);
    assert(Math.abs(plain.spread - 1) > 0.5);
  }
});

test("a feature map moves with the digit", () => {
  const pixels = Array.from({ length: 64 }, (_, at) => at % 8 === 3 ? 255 : 0);
  const edges = windows.featureMap(pixels, windows.WINDOWS[0].weights);
  assert.deepEqual(edges.slice(8, 16), [0, 0, 3, 0, -3, 0, 0, 0]);
  assert.deepEqual(windows.featureMap(windows.shifted(pixels, 1), windows.WINDOWS[0].weights).slice(8, 16), [
    0,
    0,
    0,
    3,
    0,
    -3,
    0,
    0,
  ]);
});

test("the best of more trials, and of fewer images, looks better than it is", () => {
  assert(Math.abs(luck.surplus(1, 300)) < 0.003);
  assert(luck.surplus(100, 300) > luck.surplus(10, 300));
  assert(luck.surplus(10, 100) > luck.surplus(10, 10_000));
  const made = luck.searched({ trials: 30, images: 300, seed: 1 });
  assert.equal(made.found[made.best], Math.max(...made.found));
  assert.match(luck.luckSentence(made, { trials: 30, images: 300 }), /^Trial \d+ wins with 9.*points better/);
});

test("pictures in service are moved and paler, and so many labels are wrong as are asked for", () => {
  const pixels = Uint8Array.from({ length: 128 }, (_, at) => at % 64 === 9 ? 200 : at === 63 ? 50 : 0);
  const seen = corrections.asInService(pixels);
  assert.deepEqual([...seen.keys()].filter((at) => seen[at]), [18, 64 + 18]);
  assert.equal(seen[18], 120);
  const labels = Uint8Array.from({ length: 100 }, (_, at) => at % 10);
  const wrong = corrections.corrected(labels, 0.3, 10, 1);
  assert.equal(wrong.filter((label, row) => label !== labels[row]).length, 30);
  assert(wrong.every((label) => label < 10));
  const samples = {
    isPoints: false,
    shape: /** @type {[number, number, number]} */ ([8, 8, 1]),
    classes: [..."0123456789"],
    train: { x: new Uint8Array(400 * 64).fill(100), labels: new Uint8Array(400) },
    test: { x: new Uint8Array(64).fill(100), labels: new Uint8Array(1) },
  };
  const [old, alone, both] = corrections.correctionTasks(samples, { count: 50, wrong: 0, judged: 0, seed: 1 });
  assert.deepEqual([old, alone, both].map(({ train }) => train.labels.length), [200, 50, 250]);
  assert.equal(old.test.x[0], 0, "a picture in service");
  assert.match(
    corrections.correctionsSentence([0.4, 0.8, 0.9], { count: 50, wrong: 0, judged: 0 }),
    /corrections pay: 90.0.* instead of 40.0/,
  );
});

/** A network that says class 0 by the first pixel and class 1 by the second. */
function twoPixels() {
  const weight = new Float32Array(128);
  [weight[0], weight[3]] = [4, 4];
  return new Network(
    [8, 8, 1],
    [{ type: "flatten" }, { type: "dense", outputs: 2, weight, bias: new Float32Array(2) }],
    {
      batch: 100,
    },
  );
}

test("a map names the pixels that the answer rests on, and they go first", () => {
  const network = twoPixels();
  const pixels = Uint8Array.from({ length: 64 }, (_, at) => [255, 100, 0, 30][at] ?? 0);
  const supports = removal.support(network, pixels, 0);
  assert(supports[0] > 1 && supports[1] < 0 && supports[3] === 0);
  assert.deepEqual(removal.removalOrder(pixels, supports, 0), [0, 3, 1]);
  assert.deepEqual(removal.removalOrder(pixels, supports, 2), [1, 3, 0]);
  assert.deepEqual(removal.removalOrder(pixels, supports, 1).sort(), [0, 1, 3]);
  const left = removal.without(pixels, [0, 3, 1], 1);
  assert.deepEqual([...left.subarray(0, 4)], [0, 100, 0, 30]);
  assert(removal.answer(network, left)[0] < 0.5);
  assert.match(removal.removalSentence(removal.answer(network, left), 0, "0", 1, 3), /the answer is lost/);
});

test("a threshold keeps the sure answers, and noise is answered too", () => {
  const own = [[0.9, 1], [0.8, 1], [0.6, 0]].map(([sure, right]) => ({ sure, right: right === 1 }));
  assert.deepEqual(rejection.atThreshold(own, 0.7), { answered: 2 / 3, right: 1 });
  assert.deepEqual(rejection.atThreshold(own, 0), { answered: 1, right: 2 / 3 });
  const upside = rejection.strange(Uint8Array.from({ length: 6400 }, (_, at) => at % 64), 1);
  assert.deepEqual([upside[0], upside[63], upside[64]], [63, 0, 63]);
  const told = rejection.answers(twoPixels(), Uint8Array.from({ length: 128 }, (_, at) => at % 64 === 0 ? 255 : 0), [
    0,
    1,
  ]);
  assert.deepEqual(told.map(({ right }) => right), [true, false]);
  assert.match(
    rejection.rejectionSentence(own, own, 0.7, 0),
    /answers 67.* of 300 test digits, 100.*noise it still answers 67/,
  );
});
