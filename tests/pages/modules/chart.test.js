// The ticks of an axis are round and lie inside it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { roundTicks } from "../../../src/glyphnet/report/js/chart.js";

test("ticks are round", () => {
  assert.equal(roundTicks(0, 1).map((tick) => tick.toFixed(2)).join(), "0.00,0.20,0.40,0.60,0.80,1.00");
  assert.deepEqual(roundTicks(1, 12, 6), [2, 4, 6, 8, 10, 12]);
});

for (const [low, high] of [[0, 0.00037], [0.9, 1], [-3, 17], [5, 5], [0, 123456]]) {
  test(`from ${low} to ${high} there are a few ticks, all inside`, () => {
    const ticks = roundTicks(low, high);
    assert(ticks.length >= 1 && ticks.length <= 11, String(ticks));
    const slack = 1e-6 * (high - low);
    assert(ticks.every((tick) => tick >= low - slack && tick <= high + slack), String(ticks));
  });
}
