// @ts-check
// From a file to its picture, upright, as `picture_from_bytes` in glyphnet/data/decode.py reads it.

export const MOST_PIXELS = 50_000_000;

const ORIENTATION = 0x0112; // the tag in EXIF
/**
 * How a picture is turned for looking at it, by its orientation: the matrix of a canvas, times width or height.
 * @type {{ [orientation: number]: [number, number, number, number, number, number] }}
 */
const TURNS = {
  2: [-1, 0, 0, 1, 1, 0],
  3: [-1, 0, 0, -1, 1, 1],
  4: [1, 0, 0, -1, 0, 1],
  5: [0, 1, 1, 0, 0, 0],
  6: [0, 1, -1, 0, 1, 0],
  7: [0, -1, -1, 0, 1, 1],
  8: [0, -1, 1, 0, 0, 1],
};

/**
 * The picture in a file, its colours unchanged. Some browsers do not turn WebP as its EXIF says, so that is done here.
 *
 * Throws if it is no picture that the browser can read, or has too many pixels.
 * @type {(file: Blob) => Promise<ImageBitmap>}
 */
export async function decodePicture(file) {
  const webp = await withoutOrientation(file);
  const picture = await createImageBitmap(webp?.file ?? file, { colorSpaceConversion: "none" });
  if (picture.width * picture.height > MOST_PIXELS) throw new Error("The picture has too many pixels.");
  return webp ? turned(picture, webp.orientation) : picture;
}

/** @type {(picture: ImageBitmap, orientation: number) => Promise<ImageBitmap>} */
function turned(picture, orientation) {
  const turn = TURNS[orientation];
  if (!turn) return Promise.resolve(picture);
  const [width, height] = orientation > 4 ? [picture.height, picture.width] : [picture.width, picture.height];
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("This browser cannot draw.");
  const [a, b, c, d, x, y] = turn;
  context.setTransform(a, b, c, d, x * width, y * height);
  context.drawImage(picture, 0, 0);
  return createImageBitmap(canvas);
}

/**
 * A WebP file that no browser turns, and how it is to be turned; null for other files, and those that say nothing.
 * @type {(file: Blob) => Promise<{ file: Blob, orientation: number } | null>}
 */
async function withoutOrientation(file) {
  const head = new TextDecoder("latin1").decode(await file.slice(0, 16).arrayBuffer());
  if (!head.startsWith("RIFF") || head.slice(8, 12) !== "WEBP") return null;
  const bytes = new Uint8Array(await file.arrayBuffer());
  const view = new DataView(bytes.buffer);
  for (let at = 12; at + 8 <= bytes.length;) {
    const size = view.getUint32(at + 4, true);
    if (String.fromCharCode(...bytes.subarray(at, at + 4)) === "EXIF") {
      const orientation = orientationIn(new DataView(bytes.buffer, at + 8, Math.min(size, bytes.length - at - 8)));
      bytes.set([0x6e, 0x6f, 0x6e, 0x65], at); // "none": a chunk that nobody knows
      return { file: new Blob([bytes], { type: "image/webp" }), orientation };
    }
    at += 8 + size + (size & 1);
  }
  return null;
}

/**
 * The orientation that EXIF tells; 1, upright, where it tells none.
 * @type {(exif: DataView<ArrayBuffer>) => number}
 */
export function orientationIn(exif) {
  const start = exif.byteLength > 6 && exif.getUint32(0) === 0x45786966 ? 6 : 0; // some write "Exif" first
  if (exif.byteLength < start + 8) return 1;
  const little = exif.getUint16(start) === 0x4949;
  const first = start + exif.getUint32(start + 4, little);
  if (first + 2 > exif.byteLength) return 1;
  for (let entry = 0; entry < exif.getUint16(first, little); entry++) {
    const at = first + 2 + 12 * entry;
    if (at + 12 > exif.byteLength) return 1;
    if (exif.getUint16(at, little) === ORIENTATION) return exif.getUint16(at + 8, little);
  }
  return 1;
}
