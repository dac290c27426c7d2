// @ts-check
// A training of the page's own engine that is broken off and resumed gives the same bits as one that never was.

import { deepEqual, equal, notDeepEqual, throws } from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../../src/glyphnet/pages/js/engine/random.js";
import { Session } from "../../../src/glyphnet/pages/js/studio/session.js";
/** @import { Task } from "../../../src/glyphnet/pages/js/studio/session.js" */

/** @type {(rows: number) => Task} */
function task(rows) {
  const random = new Random(5);
  const part = (/** @type {number} */ count) => ({
    x: Uint8Array.from({ length: count * 144 }, () => random.below(256)),
    labels: Uint8Array.from({ length: count }, (_, row) => row % 3),
  });
  return {
    kind: "ink",
    shape: [12, 12, 1],
    classes: 3,
    preset: "fast",
    seconds: null,
    seed: 1,
    train: part(rows),
    test: part(9),
    given: [],
    layers: null,
    state: null,
  };
}

/** The weights after some steps. @param {Session} session */
const weights = (session) => session.network.described().flatMap((layer) => [...(layer.weight ?? layer.mean ?? [])]);

for (const broken of [1, 5, 11]) { // 50 pictures, 32 a step: also where their order is drawn again
  test(`a training that is resumed after ${broken} steps goes on to the same bits`, () => {
    const [whole, first] = [new Session(task(50)), new Session(task(50))];
    for (let step = 0; step < 12; step++) whole.step();
    for (let step = 0; step < broken; step++) first.step();
    const { layers, state } = structuredClone({ layers: first.network.described(), state: first.state });
    const second = new Session({ ...task(50), layers, state });
    const fresh = new Session({ ...task(50), layers, state: null });
    for (let step = broken; step < 12; step++) {
      second.step();
      fresh.step();
    }
    deepEqual(weights(second), weights(whole));
    notDeepEqual(weights(fresh), weights(whole));
    deepEqual({ ...second.state, elapsed: 0 }, { ...whole.state, elapsed: 0 });
    equal(second.epoch().loss, whole.epoch().loss);
  });
}

test("a training does not go on with other pictures", () => {
  const { state } = new Session(task(50));
  throws(() => new Session({ ...task(49), state }), /pictures are others/);
});
