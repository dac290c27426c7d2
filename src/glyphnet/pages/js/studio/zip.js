// @ts-check
// Zip files of pictures, written and read with what the browser has. Pictures are packed already, so they are stored as they
// are; what others packed is inflated. Bounded, so that a bomb costs nothing.

/** A file in a zip. @typedef {{ path: string, blob: Blob }} Entry */

export const MOST_FILES = 200_000;
export const MOST_BYTES = 1 << 30; // of all files together, unpacked
export const MOST_TIMES = 200; // what one file may unpack to, as a multiple of its packed size
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const UTF8 = 0x0800;
const MOST_COMMENT = 65_535;

const TABLE = Uint32Array.from({ length: 256 }, (_, number) => {
  let value = number;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** The CRC-32 of ISO 3309. @type {(bytes: Uint8Array) => number} */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (let at = 0; at < bytes.length; at++) value = TABLE[(value ^ bytes[at]) & 255] ^ (value >>> 8);
  return ~value >>> 0;
}

/** @type {(parts: [size: 2 | 4, value: number][]) => Uint8Array<ArrayBuffer>} */
function packed(parts) {
  const made = new DataView(new ArrayBuffer(parts.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of parts) {
    if (size === 2) made.setUint16(at, value, true);
    else made.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(made.buffer);
}

/**
 * A zip of files, which stay blobs: the memory that it takes does not grow with them.
 * @type {(entries: AsyncIterable<Entry> | Iterable<Entry>) => Promise<Blob>}
 */
export async function writeZip(entries) {
  /** @type {BlobPart[]} */
  const parts = [];
  /** @type {BlobPart[]} */
  const directory = [];
  let [at, count, length] = [0, 0, 0];
  for await (const { path, blob } of entries) {
    const name = new TextEncoder().encode(path);
    const crc = crc32(new Uint8Array(await blob.arrayBuffer()));
    // version 2.0, names in UTF-8, stored, 1 January 1980: the same pictures give the same file
    const common = /** @type {[2 | 4, number][]} */ ([
      [2, 20],
      [2, UTF8],
      [2, 0],
      [2, 0],
      [2, 0x21],
      [4, crc],
      [4, blob.size],
      [4, blob.size],
      [2, name.length],
      [2, 0],
    ]);
    parts.push(packed([[4, LOCAL], ...common]), name, blob);
    directory.push(packed([[4, CENTRAL], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]]), name);
    length += 46 + name.length;
    at += 30 + name.length + blob.size;
    count++;
  }
  if (count > 65_535 || at + length >= 2 ** 32) {
    throw new Error(
      `${count} pictures do not fit into one zip (at most 65,535 and 4 GB): delete some, and save again.`,
    );
  }
  const end = packed([[4, END], [2, 0], [2, 0], [2, count], [2, count], [4, length], [4, at], [2, 0]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** Whether a file begins as a zip does. @type {(blob: Blob) => Promise<boolean>} */
export async function isZip(blob) {
  const [p, k, three, four] = new Uint8Array(await blob.slice(0, 4).arrayBuffer());
  return p === 0x50 && k === 0x4b && ((three === 3 && four === 4) || (three === 5 && four === 6));
}

/**
 * The files of a zip, one after the other; folders are left out, and so is what is not wanted.
 * @param {Blob} file @param {(path: string) => boolean} [wanted] @returns {AsyncGenerator<Entry>}
 */
export async function* readZip(file, wanted = () => true) {
  const tail = file.slice(Math.max(0, file.size - MOST_COMMENT - 22));
  const view = new DataView(await tail.arrayBuffer());
  let end = view.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== END) end--;
  if (end < 0) throw new Error("The zip has no directory: it is damaged or cut short.");
  const [count, length, start] = [
    view.getUint16(end + 10, true),
    view.getUint32(end + 12, true),
    view.getUint32(end + 16, true),
  ];
  if (count === 65_535 || start === 0xffffffff) {
    throw new Error("The zip is of the kind Zip64, which is not read here: unpack it.");
  }
  if (count > MOST_FILES || start + length > file.size) throw new Error("The zip's directory is damaged.");
  const directory = new DataView(await file.slice(start, start + length).arrayBuffer());
  let [at, whole] = [0, 0];
  for (let number = 0; number < count; number++) {
    if (at + 46 > directory.byteLength || directory.getUint32(at, true) !== CENTRAL) {
      throw new Error("The zip's directory is damaged.");
    }
    const entry = central(directory, at);
    at = entry.next;
    if (entry.path.endsWith("/") || !wanted(entry.path)) continue;
    if (entry.flags & 1) throw new Error(`${entry.path} in the zip is locked by a password.`);
    whole += entry.size;
    if (whole > MOST_BYTES || entry.size > MOST_TIMES * Math.max(entry.packed, 1024)) {
      throw new Error(`${entry.path} in the zip unpacks to too much: at most 1 GB and ${MOST_TIMES} times its size.`);
    }
    yield { path: entry.path, blob: await content(file, entry) };
  }
}

/** The paths of all files in a zip; nothing is unpacked. @type {(file: Blob) => Promise<string[]>} */
export async function pathsIn(file) {
  /** @type {string[]} */
  const paths = [];
  for await (const _ of readZip(file, (path) => !paths.push(path)));
  return paths;
}

/** @type {(view: DataView, at: number) => { path: string, flags: number, method: number, packed: number, size: number, start: number, crc: number, next: number }} */
function central(view, at) {
  const [name, extra, comment] = [28, 30, 32].map((place) => view.getUint16(at + place, true));
  if (at + 46 + name > view.byteLength) throw new Error("The zip's directory is damaged.");
  return {
    path: new TextDecoder().decode(new Uint8Array(view.buffer, at + 46, name)).replaceAll("\\", "/"), // of Windows' tools
    flags: view.getUint16(at + 8, true),
    method: view.getUint16(at + 10, true),
    crc: view.getUint32(at + 16, true),
    packed: view.getUint32(at + 20, true),
    size: view.getUint32(at + 24, true),
    start: view.getUint32(at + 42, true),
    next: at + 46 + name + extra + comment,
  };
}

/** @type {(file: Blob, entry: ReturnType<typeof central>) => Promise<Blob>} */
async function content(file, { path, method, packed: length, size, start, crc }) {
  const head = new DataView(await file.slice(start, start + 30).arrayBuffer());
  if (head.byteLength < 30 || head.getUint32(0, true) !== LOCAL) throw new Error(`${path} in the zip is damaged.`);
  const from = start + 30 + head.getUint16(26, true) + head.getUint16(28, true);
  const raw = file.slice(from, from + length);
  if (method !== 0 && method !== 8) throw new Error(`${path} is packed by method ${method}, which is not read here.`);
  const bytes = method === 0 ? new Uint8Array(await raw.arrayBuffer()) : await inflated(raw, size, path);
  if (bytes.length !== size || crc32(bytes) !== crc) throw new Error(`${path} in the zip is damaged.`);
  return new Blob([bytes]);
}

/** At most `size` bytes, whatever the stream goes on to give. @type {(raw: Blob, size: number, path: string) => Promise<Uint8Array<ArrayBuffer>>} */
async function inflated(raw, size, path) {
  const reader = raw.stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const made = new Uint8Array(size);
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return made.subarray(0, at);
    if (at + value.length > size) {
      await reader.cancel();
      throw new Error(`${path} in the zip unpacks to more than it announces.`);
    }
    made.set(value, at);
    at += value.length;
  }
}
