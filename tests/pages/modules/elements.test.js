// Percentages and counts as the pages write them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { percent, thousands } from "../../../src/glyphnet/pages/js/elements.js";

test("a percentage has the digits that are asked for, and a space that never breaks", () => {
  assert.equal(percent(0.98734), "98.7\u202f%");
  assert.equal(percent(0.98734, 2), "98.73\u202f%");
  assert.equal(percent(0.5, 0), "50\u202f%");
});

test("what is not quite 100 % or 0 % is never rounded to it", () => {
  assert.equal(percent(0.99999), ">99.9\u202f%");
  assert.equal(percent(1), "100.0\u202f%");
  assert.equal(percent(1e-9), "<0.1\u202f%");
  assert.equal(percent(0), "0.0\u202f%");
});

test("large counts have commas", () => assert.equal(thousands(1234567), "1,234,567"));
