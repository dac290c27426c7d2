// @ts-check
// Labelled images from files that are dropped on the page: the two IDX files of MNIST and its relatives, or a table with a
// label and its pixels a line. Files may be gzipped.

/** @import { Shape } from "../engine/layer.js" */
/** @import { Samples } from "./samples.js" */

/** An array of an IDX file. @typedef {{ shape: number[], values: Uint8Array }} Array8 */

const MOST_PIXELS = 64 * 64 * 3;
const MOST_CLASSES = 64;
const TESTED = 6; // every sixth image tests the network

/** The content of a file, unpacked where it is gzipped. @type {(file: Blob) => Promise<Uint8Array>} */
async function content(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @type {(name: string, bytes: Uint8Array) => Array8 | null} */
function idx(name, bytes) {
  if (bytes.length < 8 || bytes[0] !== 0 || bytes[1] !== 0 || bytes[2] !== 8 || bytes[3] < 1 || bytes[3] > 4) {
    return null;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const shape = Array.from({ length: bytes[3] }, (_, axis) => view.getUint32(4 + 4 * axis));
  const start = 4 + 4 * bytes[3];
  const size = shape.reduce((product, side) => product * side, 1);
  if (bytes.length !== start + size) {
    throw new Error(`${name} announces ${size} values and holds ${bytes.length - start}: it is damaged.`);
  }
  return { shape, values: bytes.subarray(start) };
}

/** What was concluded from files, in a line. @typedef {{ samples: Samples, note: string }} Opened */

const LABELS = ["label", "class", "target"];

/**
 * Which column of a table holds the labels: the one that is called so, or without names the first or the last, if only one of
 * them can be it.
 * @type {(name: string, head: string[] | null, rows: string[][]) => number}
 */
function labelColumn(name, head, rows) {
  if (head !== null) {
    const found = head.findIndex((cell) => LABELS.includes(cell));
    if (found < 0) throw new Error(`${name}: no column is called label. Call the one with the classes so.`);
    return found;
  }
  const possible = [0, rows[0].length - 1].filter((column) => {
    const found = [...new Set(rows.map((cells) => cells[column]))];
    if (found.length < 2 || found.length > MOST_CLASSES) return false;
    const numbers = found.map(Number); // classes are words, or numbers in a row: pixels mostly leave some out
    return numbers.some(Number.isNaN) || Math.max(...numbers) - Math.min(...numbers) === found.length - 1;
  });
  if (possible.length !== 1) {
    throw new Error(
      `${name}: the labels may be in the first or the last column. Add a line of names, with label in it.`,
    );
  }
  return possible[0];
}

/** A table: labels, and the pixels of a square. @type {(name: string, text: string) => Opened} */
function table(name, text) {
  const lines = text.split(/\r?\n/).filter((line) => line.trim()).map((line) =>
    line.split(",").map((cell) => cell.trim())
  );
  const width = lines[0]?.length ?? 0;
  const names = lines[0]?.map((cell) => cell.toLowerCase()) ?? [];
  // A class may be a word; a line in which most cells are none is a line of names.
  const hasHead = 2 * names.filter((cell) => cell === "" || Number.isNaN(Number(cell))).length > width;
  const rows = hasHead ? lines.slice(1) : lines;
  const side = Math.sqrt(width - 1);
  if (!Number.isInteger(side) || side < 2 || !rows.length) {
    throw new Error(`${name}: a line has ${width} cells; a label and the pixels of a square are needed.`);
  }
  const column = labelColumn(name, hasHead ? names : null, rows);
  const values = new Float64Array(rows.length * (width - 1));
  rows.forEach((cells, number) => {
    const line = number + (hasHead ? 2 : 1);
    if (cells.length !== width) throw new Error(`${name}: line ${line} has ${cells.length} cells, not ${width}.`);
    cells.filter((_, place) => place !== column).forEach((cell, at) => {
      const value = cell === "" ? NaN : Number(cell);
      if (!(value >= 0 && value <= 255)) {
        throw new Error(`${name}: the pixel ${cell.slice(0, 20)} in line ${line} is not within 0 and 255.`);
      }
      values[number * (width - 1) + at] = value;
    });
  });
  const words = rows.map((cells) => cells[column]);
  const classes = [...new Set(words)].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  if (classes.length > MOST_CLASSES) throw tooMany(classes.length);
  const labels = Uint8Array.from(words, (word) => classes.indexOf(word));
  return opened(values, labels, classes, [side, side, 1], `, labels from column ${column + 1}`);
}

/** @type {(count: number) => Error} */
function tooMany(count) {
  return new Error(`${count} classes were found; 2 to ${MOST_CLASSES} are needed.`);
}

/**
 * Images and what was concluded: every sixth image tests the network, and where the lightest pixel is dark, it becomes white.
 * @type {(values: ArrayLike<number>, labels: Uint8Array, classes: string[], shape: Shape, how?: string) => Opened}
 */
function opened(values, labels, classes, shape, how = "") {
  const size = shape[0] * shape[1] * shape[2];
  if (size > MOST_PIXELS) {
    throw new Error(`Images of ${shape[0]}×${shape[1]} are too large for this page: 64×64 at most.`);
  }
  if (classes.length < 2 || classes.length > MOST_CLASSES) throw tooMany(classes.length);
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, values[i]);
  if (largest === 0) throw new Error("All pixels are 0.");
  const scale = largest < 128 ? 255 / largest : 1;
  const x = Uint8Array.from(values, (value) => Math.round(scale * value));
  const rows = [...labels.keys()];
  /** @type {(kept: number[]) => import("./samples.js").Part} */
  const part = (kept) => {
    const made = { x: new Uint8Array(kept.length * size), labels: Uint8Array.from(kept, (row) => labels[row]) };
    kept.forEach((row, place) => made.x.set(x.subarray(row * size, (row + 1) * size), place * size));
    return made;
  };
  const stretched = scale === 1 ? "" : `; the largest value, ${largest}, is read as white`;
  return {
    samples: {
      isPoints: false,
      shape,
      classes,
      train: part(rows.filter((row) => row % TESTED)),
      test: part(rows.filter((row) => row % TESTED === 0)),
    },
    note: `${labels.length} images of ${shape[0]}×${
      shape[1]
    }, ${classes.length} classes${how}; every sixth tests${stretched}.`,
  };
}

/** @type {(files: File[]) => Promise<Opened>} */
export async function readImages(files) {
  const contents = await Promise.all(files.map(content));
  const arrays = files.map(({ name }, place) => idx(name, contents[place]));
  if (arrays.every((each) => each === null)) {
    if (files.length > 1) throw new Error("Give one table, or the two IDX files of images and labels.");
    return table(files[0].name, new TextDecoder().decode(contents[0]));
  }
  const images = arrays.find((each) => each !== null && each.shape.length >= 3);
  const labels = arrays.find((each) => each !== null && each.shape.length === 1);
  if (!images || !labels || files.length !== 2) {
    throw new Error("An IDX file of images needs the one of its labels: drop both together.");
  }
  const [count, height, width, channels = 1] = images.shape;
  if (count !== labels.shape[0]) throw new Error(`There are ${count} images and ${labels.shape[0]} labels.`);
  if (channels !== 1 && channels !== 3) throw new Error(`Images have 1 or 3 channels, not ${channels}.`);
  const names = Array.from(
    { length: 1 + labels.values.reduce((most, label) => Math.max(most, label), 0) },
    (_, label) => String(label),
  );
  return opened(images.values, labels.values, names, [height, width, channels]);
}
