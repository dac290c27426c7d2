// @ts-check
// Normalise pictures: bring them into the form of the training images. The same steps, and the same pixels, as
// glyphnet.data.ink in Python, where they are described.

import {
  borderOf,
  boxOf,
  cutOut,
  like,
  ramp,
  ranked,
  reduced,
  rimmed,
  softnessOf,
  strokeWidth,
  thicken,
} from "./filters.js";
import { sharpened, smallDepth, withoutPieces } from "./repair.js";
import { resizeGrey } from "./resample.js";
import { around, findDrawing } from "./find.js";
/** @import { Ink } from "./repair.js" */
/** @import { Grey, Values } from "./resample.js" */
/** @import { Drawing } from "./find.js" */

/** Height, width, channels. @typedef {[number, number, number]} Shape */
/** Red, green and blue of a picture. @typedef {{ planes: Values[], width: number, height: number }} Planes */
/**
 * How the training images are made: InkSpec in glyphnet/data/ink/spec.py, where each number is described.
 * @typedef {{
 *   kind: "ink" | "photo", background: number, ink: number, box: [number, number], centring: "mass" | "box",
 *   centre: [number, number], drift: number, sizes: [number, number], strokes: [number, number], noise: number,
 *   specks: number, softness: number, length: number, levels: [number, number], aspect: number, stripes?: boolean,
 *   image_shape: Shape,
 * }} InkSpec
 */
/**
 * Of other training images pictures are only resized.
 * @typedef {InkSpec | { kind: string, background: null, image_shape: Shape }} PageSpec
 */

/** @satisfies {{ ramp: [number, number], [limit: string]: number | number[] }} */
const INK = { even: 16, faintest: 24, ramp: [30, 70], fine: 80, small: 64, smallest: 160, largest: 320 };

/**
 * The network's input, H·W·C pixels, for a picture (RGBA, as getImageData gives it). given: a small picture of a
 * drawing before anything in it was changed, or null where the pixels show the same; reason: "no_drawing" or null.
 * @type {(
 *   pixels: ArrayLike<number>, width: number, height: number, spec: PageSpec,
 * ) => { pixels: Values, reason: string | null, given: Values | null }}
 */
export function normalizePicture(pixels, width, height, spec) {
  const [high, wide, channels] = spec.image_shape;
  const seen = onBackground(pixels, width, height);
  const whole = () => ({ pixels: fitWhole(seen, spec.image_shape), reason: null, given: null });
  if (spec.background === null) return whole();
  const made = spec.kind === "photo" ? photograph(greyOf(seen), spec) : drawingIn(seen, spec);
  if (made === null && spec.kind === "photo") return whole();
  if (made === null) {
    return { pixels: new Uint8Array(wide * high * channels).fill(spec.background), reason: "no_drawing", given: null };
  }
  const given = spec.kind === "ink" && isSmall(seen, spec) ? asGiven(seen, made, spec) : null;
  return { pixels: inChannels(made, channels), reason: null, given: given && inChannels(given, channels) };
}

/**
 * The same for a sheet of black strokes on white, RGBA, and nothing else: nothing need be searched for, so it takes a
 * few milliseconds. The result is that of `normalizePicture`, by at most a pixel elsewhere; null for an empty sheet.
 * @type {(pixels: ArrayLike<number>, width: number, height: number, spec: InkSpec) => Values | null}
 */
export function normalizeStrokes(pixels, width, height, spec) {
  const sheet = { data: Uint8Array.from({ length: width * height }, (_, i) => 255 - pixels[4 * i]), width, height };
  const box = boxOf(sheet, 128);
  if (box === null) return null;
  const size = Math.max(box.bottom - box.top, box.right - box.left);
  const part = cutOut(sheet, around(box, Math.floor(size / 4), sheet));
  const factor = Math.max(1, Math.floor(size / INK.fine));
  const depth = factor > 1 ? reduced(part, factor) : atWorkingSize(part);
  const amount = ramp(like(depth, Int32Array.from(depth.data)), 255, INK.ramp);
  return inChannels(drawn(inked(amount), spec), spec.image_shape[2]);
}

/** @type {(image: Grey, channels: number) => Uint8Array} */
function inChannels({ data }, channels) {
  return Uint8Array.from({ length: data.length * channels }, (_, i) => data[Math.floor(i / channels)]);
}

/** @type {(seen: Planes, spec: InkSpec) => boolean} */
function isSmall(seen, spec) {
  return Math.max(seen.width, seen.height) <=
    Math.max(INK.small, 2 * Math.max(spec.image_shape[0], spec.image_shape[1]));
}

/**
 * The picture resized whole, with the polarity and centre of training; null if `made` is the same. If the picture was
 * smaller and had to be enlarged, its subject gets the usual size too.
 * @type {(seen: Planes, made: Grey, spec: InkSpec) => Grey | null}
 */
function asGiven(seen, made, spec) {
  const [height, width] = spec.image_shape;
  let grey = { data: fitPlane(greyOf(seen), width, height).slice(), width, height };
  const ring = borderOf(grey).sort();
  let level = ring[ring.length / 2];
  if (Math.abs(255 - level - spec.background) < Math.abs(level - spec.background)) {
    grey = negative(grey);
    level = 255 - level;
  }
  const asMade = () => grey.data.every((value, i) => value === made.data[i]);
  const mask = Int32Array.from(grey.data, (value) => (Math.abs(value - level) >= INK.faintest ? 255 : 0));
  const box = boxOf(like(grey, mask), 1);
  if (box !== null && !asMade()) {
    const part = cutOut(grey, box);
    const isEnlarged = Math.max(seen.width, seen.height) < Math.max(height, width);
    grey = { data: placed(isEnlarged ? inBox(part, spec.box, "bicubic") : part, spec, level), width, height };
  }
  return asMade() ? null : grey;
}

/**
 * The drawing in a picture, from the first plane that shows one.
 * @type {(seen: Planes, spec: InkSpec) => Grey | null}
 */
function drawingIn(seen, spec) {
  const small = isSmall(seen, spec);
  for (const plane of planesOf(seen)) {
    const made = small ? smallDrawing(plane, spec) : largeDrawing(plane, spec);
    if (made !== null) return made;
  }
  return null;
}

/**
 * The planes to search, the one with the most contrast first: brightness, and differences of colours.
 * @type {(seen: Planes) => Grey[]}
 */
function planesOf(seen) {
  const grey = greyOf(seen);
  const found = [{ plane: grey, contrast: contrastOf(grey) }];
  for (const [one, other] of [[0, 1], [2, 1], [0, 2]]) {
    const [first, second] = [seen.planes[one], seen.planes[other]];
    const data = first.map((value, i) => Math.min(255, Math.max(0, 128 + ((value - second[i]) >> 1))));
    const plane = { data, width: seen.width, height: seen.height };
    const contrast = contrastOf(plane);
    if (contrast >= INK.faintest) found.push({ plane, contrast });
  }
  const colours = found.slice(1);
  const best = colours.reduce((most, one) => (one.contrast > most.contrast ? one : most), colours[0] ?? found[0]);
  if (best !== found[0] && best.contrast >= 2 * found[0].contrast) {
    return [best.plane, ...found.filter((one) => one !== best).map((one) => one.plane)];
  }
  return found.map((one) => one.plane);
}

/**
 * The range of the values of a plane without the 500th part at both ends, from about 10,000 places.
 * @type {(plane: Grey) => number}
 */
function contrastOf({ data, width, height }) {
  const step = Math.max(1, Math.floor(Math.max(width, height) / 100));
  const some = [];
  for (let y = 0; y < height; y += step) for (let x = 0; x < width; x += step) some.push(data[y * width + x]);
  return ranked(some, 499, 500) - ranked(some, 1, 500);
}

/**
 * Red, green and blue, with transparent pixels on the background, rounded as Pillow rounds.
 * @type {(pixels: ArrayLike<number>, width: number, height: number) => Planes}
 */
function onBackground(pixels, width, height) {
  const background = backgroundUnder(pixels);
  const planes = [0, 1, 2].map(() => new Uint8Array(width * height));
  for (let i = 0; i < width * height; i++) {
    const alpha = pixels[4 * i + 3];
    for (let c = 0; c < 3; c++) {
      const sum = (pixels[4 * i + c] * alpha + background * (255 - alpha) + 128) * 128;
      planes[c][i] = alpha === 255 ? pixels[4 * i + c] : (sum + (sum >> 8)) >> 15;
    }
  }
  return { planes, width, height };
}

/**
 * White, or black under a drawing of one light colour, as a white pen leaves on a transparent sheet.
 * @type {(pixels: ArrayLike<number>) => number}
 */
function backgroundUnder(pixels) {
  const least = [255, 255, 255];
  const most = [0, 0, 0];
  let clear = false;
  for (let i = 0; i < pixels.length; i += 4) {
    if (pixels[i + 3] < 255) clear = true;
    if (pixels[i + 3] < 128) continue;
    for (let c = 0; c < 3; c++) {
      least[c] = Math.min(least[c], pixels[i + c]);
      most[c] = Math.max(most[c], pixels[i + c]);
    }
  }
  const oneColour = most.every((value, c) => value - least[c] >= 0 && value - least[c] <= 8);
  return clear && oneColour && 299 * most[0] + 587 * most[1] + 114 * most[2] >= 128000 ? 0 : 255;
}

/** @type {(seen: Planes) => Grey} */
function greyOf({ planes: [red, green, blue], width, height }) {
  const data = new Uint8Array(width * height);
  for (let i = 0; i < data.length; i++) data[i] = (red[i] * 19595 + green[i] * 38470 + blue[i] * 7471 + 32768) >> 16;
  return { data, width, height };
}

/** @type {(image: Grey) => Grey} */
function negative({ data, width, height }) {
  return { data: data.map((value) => 255 - value), width, height };
}

/**
 * The whole picture in the model's size, the rest in its border's colour: fit_image in Python.
 * @type {(seen: Planes, shape: Shape) => Uint8Array}
 */
function fitWhole(seen, [height, width, channels]) {
  const planes = channels === 1 ? [greyOf(seen).data] : seen.planes;
  const fitted = planes.map((data) => fitPlane({ data, width: seen.width, height: seen.height }, width, height));
  const result = new Uint8Array(height * width * channels);
  fitted.forEach((plane, c) => plane.forEach((value, i) => (result[i * channels + c] = value)));
  return result;
}

/** @type {(plane: Grey, width: number, height: number) => Values} */
function fitPlane(plane, width, height) {
  if (plane.width === width && plane.height === height) return plane.data;
  const scale = Math.min(width / plane.width, height / plane.height);
  /** @type {(from: number, to: number) => number} */
  const side = (from, to) => {
    const inner = roundToEven(from * scale);
    return to - inner <= 1 ? to : Math.max(1, inner);
  };
  const inner = resizeGrey(plane, side(plane.width, width), side(plane.height, height), "bicubic");
  const ring = borderOf(plane).sort();
  const fill = Math.floor((ring[ring.length / 2 - 1] + ring[ring.length / 2]) / 2);
  return paste(
    inner,
    width,
    height,
    fill,
    Math.floor((height - inner.height) / 2),
    Math.floor((width - inner.width) / 2),
  );
}

/** @type {(value: number) => number} */
function roundToEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.floor(value + 0.5);
  return below % 2 === 0 ? below : below + 1;
}

/** @type {(patch: Grey, width: number, height: number, around: number, top: number, left: number) => Uint8Array} */
function paste(patch, width, height, around, top, left) {
  const data = new Uint8Array(width * height).fill(around);
  for (let y = 0; y < patch.height; y++) {
    data.set(patch.data.subarray(y * patch.width, (y + 1) * patch.width), (top + y) * width + left);
  }
  return data;
}

/**
 * [y, x] of the centre of mass, in pixels from the upper left corner.
 * @type {(image: Grey) => [number, number]}
 */
function massCentre({ data, width, height }) {
  let [total, down, across] = [0, 0, 0];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      total += data[i];
      down += data[i] * (2 * y + 1);
      across += data[i] * (2 * x + 1);
    }
  }
  return [down / (2 * total), across / (2 * total)];
}

/**
 * Enlarged or reduced by a whole factor; what is left of the last incomplete pixel is cut off.
 * @type {(grey: Grey) => Grey}
 */
function atWorkingSize(grey) {
  const longest = Math.max(grey.width, grey.height);
  if (longest < INK.smallest) {
    const factor = Math.ceil(INK.smallest / longest);
    return resizeGrey(grey, grey.width * factor, grey.height * factor, "bicubic");
  }
  return reduced(grey, Math.ceil(longest / INK.largest));
}

/**
 * A picture near the model's size: repaired, and enlarged only if its ink has not the size of training.
 * @type {(grey: Grey, spec: InkSpec) => Grey | null}
 */
function smallDrawing(grey, spec) {
  const found = smallDepth(grey, spec);
  if (found === null) return null;
  return inPlace(found, spec) ?? drawn(enlarged(found, spec), spec);
}

/** @type {(found: Ink & { repaired: boolean }, spec: InkSpec) => Grey | null} */
function inPlace({ depth, full, repaired }, spec) {
  const [height, width] = spec.image_shape;
  if (depth.width !== width || depth.height !== height) return null;
  const contrast = Math.abs(spec.ink - spec.background);
  let amount = depth.data.map((value) => Math.max(value, 0));
  if (repaired || full < spec.levels[0] || full > spec.levels[1]) {
    amount = amount.map((value) => Math.min(Math.floor((value * contrast) / full), 255));
  }
  const box = boxOf({ data: amount, width, height }, contrast / 4);
  if (box === null) return null;
  const filled = Math.max((box.bottom - box.top) / spec.box[0], (box.right - box.left) / spec.box[1]);
  if (filled < 0.9 * spec.sizes[0] || filled > 1.05 * spec.sizes[1]) return null;
  const middle = [(box.top + box.bottom) / 2, (box.left + box.right) / 2];
  const centre = spec.centring === "mass" ? massCentre({ data: amount, width, height }) : middle;
  const [down, across] = centre.map((place, axis) =>
    Math.abs(place - spec.centre[axis]) <= spec.drift + 0.5 ? 0 : Math.floor(spec.centre[axis] - place + 0.5)
  );
  if (down || across) {
    if (box.top + down < 0 || box.bottom + down > height || box.left + across < 0 || box.right + across > width) {
      return null;
    }
    const part = cutOut({ data: Uint8Array.from(amount), width, height }, box);
    amount = paste(part, width, height, 0, box.top + down, box.left + across);
  }
  const sign = spec.ink > spec.background ? 1 : -1;
  /** @type {(value: number) => number} */
  const level = (value) => Math.min(255, Math.max(0, spec.background + sign * value));
  return { data: Uint8Array.from(amount, level), width, height };
}

/**
 * The amount of ink, 0 to 255, at the working size, within its bounding box.
 * @type {(ink: Ink, spec: InkSpec) => Grey}
 */
function enlarged({ depth, full }, spec) {
  const { width, height } = depth;
  const scaled = like(depth, depth.data.map((value) => Math.min(255, Math.max(0, Math.floor((value * 255) / full)))));
  const box = boxOf(scaled, 127.5);
  const fills = box !== null && box.top === 0 && box.left === 0 && box.bottom === height && box.right === width;
  const inner = rimmed(scaled, 2, 0);
  const factor = Math.ceil(INK.smallest / Math.max(inner.width, inner.height));
  let large = resizeGrey(inner, inner.width * factor, inner.height * factor, "bicubic");
  if (width === height && fills) {
    large = resizeGrey(large, Math.max(1, Math.floor(large.width * spec.aspect + 0.5)), large.height, "bicubic");
  }
  return inked(withoutPieces(ramp(like(large, Int32Array.from(large.data)), 255, INK.ramp)));
}

/**
 * What is at least half full ink, within its bounding box.
 * @type {(amount: Grey) => Grey}
 */
function inked(amount) {
  const box = boxOf(amount, 128);
  const bytes = { ...amount, data: Uint8Array.from(amount.data) };
  return box === null ? bytes : cutOut(bytes, box);
}

/**
 * A larger picture: the drawing is found, and sharpened where it is blurred.
 * @type {(grey: Grey, spec: InkSpec) => Grey | null}
 */
function largeDrawing(grey, spec) {
  const found = findDrawing(grey);
  if (found === null) return null;
  const soft = blurred(found, spec);
  const amount = soft === null ? inkAmount(found) : enlarged(soft, spec);
  return drawn(amount, spec);
}

/** @type {(drawing: Drawing) => Grey} */
function inkAmount({ depth, full, box }) {
  const amount = ramp(cutOut(depth, box), full, INK.ramp);
  return { ...amount, data: Uint8Array.from(amount.data) };
}

/**
 * The drawing in the model's size and sharpened, if its edges are softer than in training; else null.
 * @type {(drawing: Drawing, spec: InkSpec) => Ink | null}
 */
function blurred({ depth, full, box }, spec) {
  const longer = Math.max(box.bottom - box.top, box.right - box.left);
  const part = cutOut(depth, around(box, Math.floor(longer / 4), depth));
  if (softnessOf(part, full) * Math.max(...spec.box) <= spec.softness * longer) return null;
  const [tall, wide] = spec.box.map((side) => Math.max(1, Math.floor((3 * side) / 2)));
  const bytes = { ...part, data: Uint8Array.from(part.data, (value) => Math.min(value, 255)) };
  const reduced = inBox(bytes, [tall, wide], "box");
  return sharpened(like(reduced, Int32Array.from(reduced.data)), spec);
}

/**
 * The amount of ink in the size, place, stroke width and levels of training.
 * @type {(amount: Grey, spec: InkSpec) => Grey}
 */
function drawn(amount, spec) {
  const [height, width] = spec.image_shape;
  const patch = asThickAs(amount, spec);
  const peak = patch.data.reduce((most, value) => Math.max(most, value), 1);
  patch.data = patch.data.map((value) => Math.floor((510 * value + peak) / (2 * peak)));
  const data = placed(patch, spec, 0);
  const span = spec.ink - spec.background;
  return { data: data.map((value) => spec.background + Math.floor((2 * value * span + 255) / 510)), width, height };
}

/**
 * The ink in the size of the box, with strokes as wide as in training.
 * @type {(amount: Grey, spec: InkSpec) => Grey}
 */
function asThickAs(amount, spec) {
  const patch = inBox(amount, spec.box, "box");
  const scale = Math.max(amount.width, amount.height) / Math.max(patch.width, patch.height);
  const width = strokeWidth(amount) / scale;
  const missing = Math.min(Math.max(width, spec.strokes[0]), spec.strokes[1]) - width;
  const steps = Math.floor(missing * scale * (2 / Math.PI) + 0.5);
  if (steps === 0) return patch;
  const changed = thicken(rimmed(amount, Math.max(0, steps), 0), steps);
  return boxOf(changed, 128) === null ? patch : inBox(inked(changed), spec.box, "box");
}

/**
 * The patch with its centre where training has it, on a level all around.
 * @type {(patch: Grey, spec: InkSpec, around: number) => Uint8Array}
 */
function placed(patch, spec, around) {
  const [height, width] = spec.image_shape;
  let [y, x] = [patch.height / 2, patch.width / 2];
  const mass = patch.data.map((value) => Math.abs(value - around));
  if (spec.centring === "mass" && mass.some((value) => value > 0)) [y, x] = massCentre({ ...patch, data: mass });
  /** @type {(place: number, most: number) => number} */
  const within = (place, most) => Math.min(Math.max(Math.floor(place + 0.5), 0), most);
  const top = within(spec.centre[0] - y, height - patch.height);
  const left = within(spec.centre[1] - x, width - patch.width);
  return paste(patch, width, height, around, top, left);
}

/**
 * A photograph's subject as training shows it; null if the background is not even.
 * @type {(grey: Grey, spec: InkSpec) => Grey | null}
 */
function photograph(grey, spec) {
  const [height, width] = spec.image_shape;
  if (grey.width === width && grey.height === height) {
    const own = [grey, negative(grey)].find((candidate) => hasTheBackground(candidate, spec));
    if (own) return own;
  }
  return subject(atWorkingSize(grey), spec);
}

/** @type {(grey: Grey, spec: InkSpec) => boolean} */
function hasTheBackground(grey, spec) {
  const ring = borderOf(grey);
  /** @type {(level: number) => number} */
  const near = (level) => ring.filter((value) => Math.abs(value - level) < INK.even).length;
  return near(spec.background) >= near(255 - spec.background);
}

/** @type {(grey: Grey, spec: InkSpec) => Grey | null} */
function subject(grey, spec) {
  const [height, width] = spec.image_shape;
  const ring = borderOf(grey).sort();
  let level = ring[ring.length / 2];
  if (10 * ring.filter((value) => Math.abs(value - level) < INK.even).length < 8 * ring.length) return null;
  let values = grey;
  if (Math.abs(255 - level - spec.background) < Math.abs(level - spec.background)) {
    values = negative(grey);
    level = 255 - level;
  }
  const mask = Int32Array.from(values.data, (value) => (Math.abs(value - level) >= INK.faintest ? 255 : 0));
  const box = boxOf(withoutPieces(like(grey, mask)), 1);
  if (box === null) return null;
  const part = cutOut(values, box);
  part.data = part.data.map((value) => Math.min(255, Math.max(0, value - level + spec.background)));
  return { data: placed(inBox(part, spec.box, "bicubic"), spec, spec.background), width, height };
}

/**
 * Resized so that it fills the box in one direction.
 * @type {(part: Grey, box: [number, number], filter: "box" | "bicubic") => Grey}
 */
function inBox(part, [tall, wide], filter) {
  const { width, height } = part;
  const [across, down] = height * wide >= width * tall
    ? [Math.max(1, Math.floor((2 * width * tall + height) / (2 * height))), tall]
    : [wide, Math.max(1, Math.floor((2 * height * wide + width) / (2 * width)))];
  return resizeGrey(part, across, down, filter);
}
