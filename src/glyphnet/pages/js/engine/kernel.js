// @ts-check
// Matrix products in WebAssembly, four numbers at a time. The module is assembled here, so that it needs no build step
// and everybody can read it.
//
// One function does all: C += A·B. The rows and columns of A may lie at any distance, so that Aᵀ·B needs no copy. It
// computes tiles of four rows and eight columns, whose sums stay in registers while it goes along k.

/** Where a matrix lies, in bytes; `across`: from one column of A to the next. @typedef {number} Bytes */
/**
 * @typedef {(
 *   a: Bytes, down: Bytes, across: Bytes, b: Bytes, bDown: Bytes, c: Bytes, cDown: Bytes, m: number, k: number, n: number,
 * ) => void} Product
 */

const I32 = 0x7f;
const F32 = 0x7d;
const V128 = 0x7b;
const PARAMETERS = ["a", "down", "across", "b", "bDown", "c", "cDown", "m", "k", "n"];

/** @type {(value: number) => number[]} */
function unsigned(value) {
  const bytes = [];
  do {
    bytes.push((value & 127) | (value > 127 ? 128 : 0));
    value >>>= 7;
  } while (value);
  return bytes;
}

/** @type {(value: number) => number[]} */
function signed(value) {
  const bytes = [];
  while (value < -64 || value > 63) {
    bytes.push((value & 127) | 128);
    value >>= 7;
  }
  return [...bytes, value & 127];
}

/** The body of the function, instruction by instruction. */
class Code {
  constructor() {
    /** @type {number[]} */
    this.bytes = [];
    /** @type {Map<string, number>} */
    this.numbers = new Map(PARAMETERS.map((name, number) => [name, number]));
    /** @type {number[]} */
    this.types = [];
  }

  /** @param {string} name @param {number} type @returns {string} */
  local(name, type = I32) {
    if (!this.numbers.has(name)) {
      this.numbers.set(name, this.numbers.size);
      this.types.push(type);
    }
    return name;
  }

  /** @param {...number} bytes */
  emit(...bytes) {
    this.bytes.push(...bytes);
    return this;
  }

  /** @param {string} name */
  number(name) {
    const number = this.numbers.get(name);
    if (number === undefined) throw new Error(`there is no local ${name}`);
    return unsigned(number);
  }

  /** @param {string} name */
  get(name) {
    return this.emit(0x20, ...this.number(name));
  }

  /** @param {string} name */
  set(name) {
    return this.emit(0x21, ...this.number(name));
  }

  /** @param {number} value */
  constant(value) {
    return this.emit(0x41, ...signed(value));
  }

  /** name += the local or number `by`. @param {string} name @param {string | number} by */
  increase(name, by) {
    this.get(name);
    if (typeof by === "string") this.get(by);
    else this.constant(by);
    return this.emit(0x6a).set(name);
  }

  /** name = the sum of locals. @param {string} name @param {...string} terms */
  sum(name, ...terms) {
    terms.forEach((term, place) => place ? this.get(term).emit(0x6a) : this.get(term));
    return this.set(name);
  }

  /** Run `body` while the local `name` is at least `least`. @param {string} name @param {number} least @param {() => void} body */
  whileAtLeast(name, least, body) {
    this.emit(0x02, 0x40, 0x03, 0x40); // block, loop
    this.get(name).constant(least).emit(0x48, 0x0d, 1); // less than (signed): leave the block
    body();
    return this.emit(0x0c, 0, 0x0b, 0x0b); // again; end, end
  }

  /** One of the operations with four numbers. @param {number} operation @param {...number} more */
  vector(operation, ...more) {
    return this.emit(0xfd, ...unsigned(operation), ...more);
  }
}

const LOAD = 0x00;
const LOAD_SPLAT = 0x09; // the same number four times
const STORE = 0x0b;
const ADD = 0xe4;
const MULTIPLY = 0xe6;

/**
 * One tile: `rows` rows of C from `cRow`, and 4·`vectors` columns, or a single one, from the column at `bColumn`.
 * @type {(code: Code, rows: number, vectors: number) => void}
 */
function tile(code, rows, vectors) {
  const scalar = vectors === 0;
  const columns = scalar ? [0] : [...Array(vectors).keys()];
  const type = scalar ? F32 : V128;
  const kind = scalar ? "s" : "v";
  /** @type {(row: number, column: number) => string} */
  const sum = (row, column) => code.local(`${kind}${row}${column}`, type);
  const each = [...Array(rows).keys()];
  /** @type {(offset: number) => void} */
  const load = (offset) => {
    if (scalar) code.emit(0x2a, 2, ...unsigned(offset));
    else code.vector(LOAD, 2, ...unsigned(offset));
  };
  for (const row of each) {
    code.local(`c${row}`);
    code.local(`a${row}`);
    if (row) code.sum(`c${row}`, `c${row - 1}`, "cDown").sum(`a${row}`, `a${row - 1}`, "down");
    else code.sum("c0", "cRow", "column").sum("a0", "aRow");
    for (const column of columns) {
      code.get(`c${row}`);
      load(16 * column);
      code.set(sum(row, column));
    }
  }
  code.sum("bAt", "b", "column").sum("left", "k");
  code.whileAtLeast("left", 1, () => {
    for (const column of columns) {
      code.get("bAt");
      load(16 * column);
      code.set(code.local(`${kind}b${column}`, type));
    }
    for (const row of each) {
      code.get(`a${row}`);
      if (scalar) code.emit(0x2a, 2, 0);
      else code.vector(LOAD_SPLAT, 2, 0);
      code.set(code.local(`${kind}a`, type)).increase(`a${row}`, "across");
      for (const column of columns) {
        code.get(sum(row, column)).get(`${kind}a`).get(`${kind}b${column}`);
        if (scalar) code.emit(0x94, 0x92);
        else code.vector(MULTIPLY).vector(ADD);
        code.set(sum(row, column));
      }
    }
    code.increase("bAt", "bDown").increase("left", -1);
  });
  for (const row of each) {
    for (const column of columns) {
      code.get(`c${row}`).get(sum(row, column));
      if (scalar) code.emit(0x38, 2, 0);
      else code.vector(STORE, 2, ...unsigned(16 * column));
    }
  }
}

/** All tiles of so many rows. @type {(code: Code, rows: number) => void} */
function band(code, rows) {
  code.whileAtLeast("rowsLeft", rows, () => {
    code.constant(0).set("column").sum("columnsLeft", "n");
    for (const vectors of [2, 1, 0]) {
      const width = vectors ? 4 * vectors : 1;
      code.whileAtLeast("columnsLeft", width, () => {
        tile(code, rows, vectors);
        code.increase("column", 4 * width).increase("columnsLeft", -width);
      });
    }
    for (let row = 0; row < rows; row++) code.increase("aRow", "down").increase("cRow", "cDown");
    code.increase("rowsLeft", -rows);
  });
}

/** @type {() => Uint8Array<ArrayBuffer>} */
export function assembled() {
  const code = new Code();
  for (const name of ["aRow", "cRow", "column", "rowsLeft", "columnsLeft", "bAt", "left"]) code.local(name);
  code.sum("aRow", "a").sum("cRow", "c").sum("rowsLeft", "m");
  band(code, 4);
  band(code, 1);
  const locals = code.types.flatMap((type) => [1, type]);
  const body = [...unsigned(code.types.length), ...locals, ...code.bytes, 0x0b];
  /** @type {(number: number, content: number[]) => number[]} */
  const section = (number, content) => [number, ...unsigned(content.length), ...content];
  /** @type {(text: string) => number[]} */
  const name = (text) => [text.length, ...new TextEncoder().encode(text)];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, PARAMETERS.length, ...PARAMETERS.map(() => I32), 0]), // the type of the function
    ...section(2, [1, ...name("page"), ...name("memory"), 2, 0, 0]), // imports a memory
    ...section(3, [1, 0]),
    ...section(7, [1, ...name("product"), 0, 0]),
    ...section(10, [1, ...unsigned(body.length), ...body]),
  ]);
}

/**
 * The function over a memory; null where the browser, or the page's security policy, allows no WebAssembly.
 * @type {(memory: WebAssembly.Memory) => Product | null}
 */
export function productOver(memory) {
  try {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(assembled()), { page: { memory } });
    return /** @type {Product} */ (instance.exports.product);
  } catch {
    return null;
  }
}
