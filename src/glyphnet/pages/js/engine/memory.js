// @ts-check
// All numbers of a network in one block of memory, which WebAssembly can compute with where the browser allows it.

import { productOver } from "./kernel.js";

/** A part of the memory; `values` is there once it is committed. @typedef {{ values: Float32Array }} Slot */

const PAGE = 65_536; // bytes: WebAssembly's unit of memory

export class Memory {
  /** @param {{ plain?: boolean }} options plain: compute in JavaScript alone */
  constructor({ plain = false } = {}) {
    this.plain = plain;
    /** @type {{ slot: Slot, start: number, length: number }[]} */
    this.reserved = [];
    this.length = 0;
    /** @type {import("./kernel.js").Product | null} */
    this.fast = null;
  }

  /**
   * Room for so many float32, zeros at first.
   * @param {number} length @returns {Slot}
   */
  reserve(length) {
    const slot = { values: new Float32Array(0) };
    this.reserved.push({ slot, start: this.length, length });
    this.length += Math.ceil(length / 4) * 4; // each begins at a multiple of 16 bytes
    return slot;
  }

  /** Allocate what was reserved. */
  commit() {
    const bytes = Math.max(4 * this.length, 4);
    let buffer = null;
    if (!this.plain && typeof WebAssembly === "object") {
      const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) });
      this.fast = productOver(memory);
      if (this.fast !== null) buffer = memory.buffer;
    }
    buffer ??= new ArrayBuffer(bytes);
    for (const { slot, start, length } of this.reserved) slot.values = new Float32Array(buffer, 4 * start, length);
  }

  /**
   * C += A·B, with A m×k, B k×n and C m×n; B and C lie row by row.
   * @param {Float32Array} a @param {number} down from one row of A to the next @param {number} across and from one column
   * @param {Float32Array} b @param {Float32Array} c @param {number} m @param {number} k @param {number} n
   */
  addProduct(a, down, across, b, c, m, k, n) {
    if (this.fast !== null) {
      this.fast(a.byteOffset, 4 * down, 4 * across, b.byteOffset, 4 * n, c.byteOffset, 4 * n, m, k, n);
      return;
    }
    for (let row = 0; row < m; row++) {
      for (let inner = 0; inner < k; inner++) {
        const value = a[row * down + inner * across];
        if (value === 0) continue; // half of what a ReLU gives, and most of a drawing
        for (let column = 0, at = row * n, from = inner * n; column < n; column++) c[at++] += value * b[from++];
      }
    }
  }
}
