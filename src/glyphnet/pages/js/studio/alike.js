// @ts-check
// Pictures made alike: each at the size of the model, computed once and kept.

import { DRAWN } from "./drawing.js";
/** @import { PageSpec } from "../ink.js" */
/** @import { Helper } from "./helper.js" */
/** @import { Kept, Store } from "./store.js" */

/** A picture at the size of the model; given: it before anything was changed, null where that shows the same; drawn: whether a drawing was found; colour: how colourful it is. @typedef {{ pixels: Uint8Array, given: Uint8Array | null, drawn: boolean, colour: number }} Alike */

/** How pictures of a kind are made alike. @type {{ [kind: string]: PageSpec }} */
export const SPECS = { ink: DRAWN, photo: { kind: "photo", background: null, image_shape: [32, 32, 3] } };

const AT_ONCE = 64; // pictures that a worker gets
const SAMPLE = 48; // pictures that say of which kind all are
const COLOURFUL = 12; // levels between the channels: more is no pen on paper
const FULL = 0.35; // share of the sheet that ink covers at most

export class Alikes {
  /** @param {Store} store @param {Helper} helper */
  constructor(store, helper) {
    this.store = store;
    this.helper = helper;
    /** @type {Map<string, Alike>} */
    this.known = new Map();
  }

  /**
   * Pictures made alike, in their order; null for what cannot be read.
   * @param {string} kind @param {Kept[]} pictures @param {(done: number) => void} [progress] @returns {Promise<(Alike | null)[]>}
   */
  async of(kind, pictures, progress = () => {}) {
    const key = (/** @type {Kept} */ { hash }) => `${kind}-2:${hash}`;
    const unknown = pictures.filter((each) => !this.known.has(key(each)));
    for (let first = 0; first < unknown.length; first += AT_ONCE) {
      const some = unknown.slice(first, first + AT_ONCE);
      /** @type {(Alike | undefined)[]} */
      const stored = await this.store.many("small", some.map(key));
      const missing = some.filter((_, place) => stored[place] === undefined);
      const blobs = await this.store.many("blobs", missing.map(({ id }) => id));
      /** @type {(Alike | null)[]} */
      const made = missing.length ? await this.helper.ask({ type: "prepare", blobs, spec: SPECS[kind] }) : [];
      stored.forEach((each, place) => each && this.known.set(key(some[place]), each));
      made.forEach((each, place) => each && this.known.set(key(missing[place]), each));
      await this.store.write(
        missing.flatMap((each, place) => made[place] ? [{ store: "small", key: key(each), value: made[place] }] : []),
      );
      progress(pictures.length - unknown.length + first + some.length);
    }
    return pictures.map((each) => this.known.get(key(each)) ?? null);
  }

  /** Whether the pictures are drawings, "ink", or anything else, "photo". @param {Kept[]} pictures */
  async kindOf(pictures) {
    const step = Math.max(1, Math.floor(pictures.length / SAMPLE));
    const made = await this.of("ink", pictures.filter((_, place) => place % step === 0));
    const drawn = made.filter((each) => {
      if (!each?.drawn || each.colour > COLOURFUL) return false;
      return each.pixels.reduce((sum, value) => sum + value, 0) / each.pixels.length / 255 < FULL;
    });
    return drawn.length >= 0.8 * made.length ? "ink" : "photo";
  }
}
