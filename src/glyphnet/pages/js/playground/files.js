// @ts-check
// Labelled images from files that are dropped on the page: the two IDX files of MNIST and its relatives, or a table with a
// label and its pixels a line. Files may be gzipped.

/** @import { Shape } from "../engine/layers.js" */
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

/**
 * A table: the label in the first column, or in the one called label; then the pixels of a square, 0 to 255.
 * @type {(name: string, text: string) => Samples}
 */
function table(name, text) {
  const lines = text.split(/\r?\n/).filter((line) => line.trim());
  const head = lines[0].split(",").map((cell) => cell.trim().toLowerCase());
  const hasHead = head.some((cell) => cell && Number.isNaN(Number(cell)));
  const labelled = Math.max(0, head.indexOf("label"));
  const rows = hasHead ? lines.slice(1) : lines;
  const pixels = head.length - 1;
  const side = Math.sqrt(pixels);
  if (!Number.isInteger(side) || side < 2 || !rows.length) {
    throw new Error(`${name}: a line has ${head.length} cells; a label and the pixels of a square are needed.`);
  }
  const names = [...new Set(rows.map((row) => row.split(",")[labelled].trim()))].sort((a, b) =>
    a.localeCompare(b, "en", { numeric: true })
  );
  const x = new Uint8Array(rows.length * pixels);
  const labels = new Uint8Array(rows.length);
  rows.forEach((row, number) => {
    const cells = row.split(",");
    if (cells.length !== head.length) {
      throw new Error(`${name}: line ${number + 1 + (hasHead ? 1 : 0)} has ${cells.length} cells, not ${head.length}.`);
    }
    labels[number] = names.indexOf(cells[labelled].trim());
    cells.splice(labelled, 1);
    cells.forEach((cell, at) => {
      const value = Number(cell);
      if (!(value >= 0 && value <= 255)) {
        throw new Error(`${name}: the pixel ${cell.slice(0, 20)} in line ${number + 1} is not within 0 and 255.`);
      }
      x[number * pixels + at] = value;
    });
  });
  return divided(x, labels, names, [side, side, 1]);
}

/** Every sixth image of all tests the network. @type {(x: Uint8Array, labels: Uint8Array, classes: string[], shape: Shape) => Samples} */
function divided(x, labels, classes, shape) {
  const size = shape[0] * shape[1] * shape[2];
  if (size > MOST_PIXELS) {
    throw new Error(`Images of ${shape[0]}×${shape[1]} are too large for this page: 64×64 at most.`);
  }
  if (classes.length < 2 || classes.length > MOST_CLASSES) {
    throw new Error(`${classes.length} classes were found; 2 to ${MOST_CLASSES} are needed.`);
  }
  const rows = [...labels.keys()];
  /** @type {(kept: number[]) => import("./samples.js").Part} */
  const part = (kept) => {
    const made = { x: new Uint8Array(kept.length * size), labels: Uint8Array.from(kept, (row) => labels[row]) };
    kept.forEach((row, place) => made.x.set(x.subarray(row * size, (row + 1) * size), place * size));
    return made;
  };
  return {
    isPoints: false,
    shape,
    classes,
    train: part(rows.filter((row) => row % TESTED)),
    test: part(rows.filter((row) => row % TESTED === 0)),
  };
}

/** @type {(files: File[]) => Promise<Samples>} */
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
  return divided(images.values, labels.values, names, [height, width, channels]);
}
