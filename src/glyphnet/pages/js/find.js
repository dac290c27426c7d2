// @ts-check
// Find the drawing in a picture larger than the training images: the background first, then the ink on it. The same
// values as glyphnet.data.ink.find in Python, where the steps are described.

import {
  alongLines,
  binomial,
  borderOf,
  boxOf,
  cutOut,
  like,
  opened,
  otsuThreshold,
  piecesOf,
  ranked,
  reduced,
  upperMedian,
} from "./filters.js";
import { resizeGrey } from "./resample.js";
/** @import { Box } from "./filters.js" */
/** @import { Ink } from "./repair.js" */
/** @import { Grey } from "./resample.js" */

/** A drawing cut out of a picture, and its place in what was cut out. @typedef {Ink & { box: Box }} Drawing */
/**
 * A drawing at a coarse size: its pixels, the level that they are above, and the background around them.
 * @typedef {{ mask: Grey, level: number, box: Box, ground: Grey, room: number, offset: number, ruled: boolean }} Found
 */
/**
 * Pixels that touch; contact: how many of them lie along the border; good: whether they are part of the drawing.
 * @typedef {Box & { area: number, contact: number, tall: number, wide: number, size: number, good: boolean }} Piece
 */
/** Pixels of one column that touch. @typedef {{ x: number, top: number, end: number, middle: number }} Run */

const FIND = {
  coarse: 160,
  fine: 80,
  block: 4,
  clear: 50,
  faintest: 10,
  widest: 5,
  leastRoom: 32,
  speck: 40,
  rounds: 6,
  mostFaint: 12,
  many: 60,
  slants: 33,
  slope: 260,
  crossing: 70,
  reach: 5,
  rim: 12,
};

/**
 * The drawing, cut out of a grey picture; null if there is no plausible one.
 * @type {(grey: Grey) => Drawing | null}
 */
export function findDrawing(grey) {
  const factor = Math.ceil(Math.max(grey.width, grey.height) / FIND.coarse);
  const smooth = binomial(reduced(grey, factor));
  const total = smooth.data.reduce((sum, value) => sum + value, 0);
  const isLight = total >= upperMedian(smooth.data) * smooth.data.length;
  let best = null;
  for (const light of [isLight, !isLight]) {
    const upright = light ? smooth : like(smooth, smooth.data.map((value) => 255 - value));
    const found = lightDrawing(upright);
    if (found === null) continue;
    const apart = asLightAround(upright, found);
    if (best === null || apart < best.apart) best = { apart, light, found };
    if (apart <= FIND.clear) break;
  }
  return best === null ? null : cutFromPicture(grey, factor, best.light, best.found);
}

/**
 * How many of the pixels around the drawing are as light as it, in thousandths.
 * @type {(upright: Grey, found: Found) => number}
 */
function asLightAround(upright, { box, mask, level }) {
  const margin = Math.max(box.bottom - box.top, box.right - box.left);
  const part = cutOut(upright, around(box, margin, upright));
  const area = mask.data.reduce((sum, value) => sum + value, 0);
  const same = part.data.filter((value) => value > level).length;
  return Math.floor((1000 * (same - area)) / Math.max(1, part.data.length - area));
}

/**
 * A box with a margin, as far as the picture goes.
 * @type {(box: Box, margin: number, size: { width: number, height: number }) => Box}
 */
export function around({ top, bottom, left, right }, margin, { width, height }) {
  return {
    top: Math.max(0, top - margin),
    bottom: Math.min(height, bottom + margin),
    left: Math.max(0, left - margin),
    right: Math.min(width, right + margin),
  };
}

/**
 * The drawing at a size where its edges are smooth, without what else is near it.
 * @type {(grey: Grey, factor: number, light: boolean, found: Found) => Drawing | null}
 */
function cutFromPicture(grey, factor, light, { box, mask, ground, room, offset, ruled }) {
  const size = Math.max(box.bottom - box.top, box.right - box.left);
  const place = around(box, Math.floor(size / 4) + 3, mask);
  const wide = dilated(cutOut(mask, place), 2);
  const [top, left] = [place.top * factor, place.left * factor];
  const [bottom, right] = [Math.min(grey.height, place.bottom * factor), Math.min(grey.width, place.right * factor)];
  let part = cutOut(grey, { top, bottom, left, right });
  if (size * factor >= FIND.fine) {
    part = reduced(part, Math.floor((size * factor) / FIND.fine));
  } else {
    const enlarged = Math.ceil(FIND.fine / (size * factor));
    part = resizeGrey(part, part.width * enlarged, part.height * enlarged, "bicubic");
  }
  const smooth = binomial(part);
  const paper = resizeGrey(cutOut(ground, place), part.width, part.height, "triangle").data;
  const near = resizeGrey(wide, part.width, part.height, "box").data;
  const values = smooth.data.map((value, i) => {
    const depth = depthAbove(light ? value : 255 - value, paper[i], room) - offset;
    return near[i] ? Math.min(255, Math.max(0, depth)) : 0;
  });
  const threshold = Math.floor(otsuThreshold(values) / (ruled ? 1 : 2));
  const { kept } = strokesIn(like(part, Uint8Array.from(values, (value) => (value > threshold ? 1 : 0))));
  if (kept === null) return null;
  const close = dilated(kept, 2).data;
  const depth = like(part, values.map((value, i) => (close[i] ? value : 0)));
  const full = upperMedian(values.filter((_, i) => kept.data[i]));
  return { depth, full, box: boxAround(depth, full / 2) };
}

/**
 * The bounding box of values of at least `least`, of which there are some.
 * @type {(image: Grey, least: number) => Box}
 */
function boxAround(image, least) {
  return /** @type {Box} */ (boxOf(image, least));
}

/**
 * How far a pixel is above the background. Ink takes a share of the light, so a difference in the shade counts for
 * more.
 * @type {(value: number, ground: number, room: number) => number}
 */
function depthAbove(value, ground, room) {
  return Math.floor((Math.max(value - ground, 0) * room) / Math.max(255 - ground, FIND.leastRoom));
}

/**
 * The background: an opening over two fifths of the longer side, at a quarter of the size.
 * @type {(upright: Grey) => Grey}
 */
function backgroundOf({ data, width, height }) {
  const size = { width: Math.ceil(width / FIND.block), height: Math.ceil(height / FIND.block) };
  const least = new Int32Array(size.width * size.height).fill(255);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const block = Math.floor(y / FIND.block) * size.width + Math.floor(x / FIND.block);
      least[block] = Math.min(least[block], data[i]);
    }
  }
  const reach = Math.floor(Math.max(size.width, size.height) / (2 * FIND.widest)) + 1;
  const paper = opened({ ...size, data: least }, reach, 1);
  const bytes = { ...size, data: Uint8Array.from(paper.data, (value) => Math.min(255, Math.max(0, value))) };
  const whole = resizeGrey(bytes, size.width * FIND.block, size.height * FIND.block, "triangle");
  return cutOut(whole, { top: 0, bottom: height, left: 0, right: width });
}

/**
 * The light drawing on a darker background.
 * @type {(upright: Grey) => Found | null}
 */
function lightDrawing(upright) {
  const ground = backgroundOf(upright);
  const room = Math.max(255 - upperMedian(ground.data), FIND.leastRoom);
  const over = Int32Array.from(upright.data, (value, i) => depthAbove(value, ground.data[i], room));
  const offset = upperMedian(over);
  const noise = upperMedian(over.map((value) => Math.abs(value - offset)));
  let depth = like(upright, over.map((value) => Math.min(255, Math.max(0, value - offset))));
  const least = Math.max(FIND.faintest, 5 * noise);
  for (let round = 0; round < FIND.rounds; round++) {
    const threshold = Math.max(otsuThreshold(depth.data), Math.floor(least / 2));
    const ink = depth.data.filter((value) => value > threshold);
    if (!ink.length || ink.reduce((sum, value) => sum + value, 0) < least * ink.length) return null;
    const mask = like(depth, Uint8Array.from(depth.data, (value) => (value > threshold ? 1 : 0)));
    const lines = linesIn(mask);
    const { kept, gone } = strokesIn(like(mask, mask.data.map((value, i) => value & (lines.data[i] ^ 1))));
    if (kept !== null) {
      const faint = Math.max(Math.floor(threshold / 2), Math.floor(least / 2));
      const weak = like(depth, Uint8Array.from(depth.data, (value) => (value > faint ? 1 : 0)));
      const ruled = lines.data.includes(1) || linesIn(weak).data.includes(1);
      const all = ruled ? kept : withFaintInk(weak, kept);
      const full = upperMedian(depth.data.filter((_, i) => all.data[i]));
      const box = boxAround(all, 1);
      if (full < least || Math.max(box.bottom - box.top, box.right - box.left) < 6) return null;
      const level = upperMedian(upright.data.filter((_, i) => all.data[i])) - Math.floor(full / 2);
      return { mask: all, level, box, ground, room, offset, ruled };
    }
    const wiped = dilated(like(mask, gone.data.map((value, i) => value | lines.data[i])), 2).data;
    depth = like(depth, depth.data.map((value, i) => (wiped[i] ? 0 : value)));
  }
  return null;
}

/**
 * The strokes and the fainter ink beside them, unless that is too much.
 * @type {(weak: Grey, strokes: Grey) => Grey}
 */
function withFaintInk(weak, strokes) {
  const more = strokesIn(weak).kept;
  if (more === null || strokes.data.some((value, i) => value !== 0 && more.data[i] === 0)) return strokes;
  const [before, after] = [strokes, more].map(({ data }) => data.reduce((sum, value) => sum + value, 0));
  return after > FIND.mostFaint * before || borderOf(more).includes(1) ? strokes : more;
}

/**
 * The mask and what is within `by` pixels of it.
 * @type {(mask: Grey, by: number) => Grey}
 */
function dilated(mask, by) {
  /** @type {(line: Int32Array) => Int32Array} */
  const widen = (line) => line.map((_, i) => (line.subarray(Math.max(0, i - by), i + by + 1).includes(1) ? 1 : 0));
  return alongLines(alongLines(mask, true, widen), false, widen);
}

/**
 * {kept: the pieces that make the drawing, or null; gone: what of the mask is no stroke}.
 * @type {(mask: Grey) => { kept: Grey | null, gone: Grey }}
 */
function strokesIn(mask) {
  const { width, height } = mask;
  const longest = Math.max(width, height);
  const { pieces, count } = piecesOf(mask);
  const nothing = like(mask, new Uint8Array(mask.data.length));
  if (!count) return { kept: null, gone: nothing };
  const found = measuredPieces(pieces, count, mask);
  const inner = found.filter((one) => 4 * one.contact <= longest && one.area >= 6 && one.contact === 0);
  const largest = inner.reduce((most, one) => Math.max(most, one.size), 0);
  for (const one of found) {
    one.good = 4 * one.contact <= longest && one.area >= 6;
    if (20 * largest >= longest && one.contact && 2 * one.size > largest) one.good = false;
  }
  for (const one of framesOf(found)) one.good = false;
  if (!found.some((one) => one.good)) return { kept: null, gone: mask };
  for (const one of underlinesOf(found)) one.good = false;
  for (const one of sidesOf(found)) one.good = false;
  for (const one of openFramesOf(found, pieces, mask)) one.good = false;
  const main = found.reduce(
    (best, one) => ((one.good ? one.area : 0) > (best.good ? best.area : 0) ? one : best),
    found[0],
  );
  if (found.filter((one) => one.good && 4 * one.area >= main.area).length > Math.floor(FIND.many / 4)) {
    return { kept: null, gone: mask };
  }
  const near = nearTo(main, found.filter((one) => one.good && FIND.speck * one.area >= main.area));
  const keep = [false, ...found.map((one) => near.includes(one))];
  return { kept: like(mask, Uint8Array.from(pieces, (piece) => (keep[piece] ? 1 : 0))), gone: nothing };
}

/**
 * Area, box, size and pixels along the border of each piece.
 * @type {(pieces: Int32Array, count: number, size: { width: number, height: number }) => Piece[]}
 */
function measuredPieces(pieces, count, { width, height }) {
  const found = Array.from({ length: count }, () => ({
    area: 0,
    contact: 0,
    top: height,
    bottom: 0,
    left: width,
    right: 0,
    tall: 0,
    wide: 0,
    size: 0,
    good: false,
  }));
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!pieces[i]) continue;
      const one = found[pieces[i] - 1];
      one.area++;
      for (const atBorder of [y === 0, y === height - 1, x === 0, x === width - 1]) one.contact += Number(atBorder);
      one.top = Math.min(one.top, y);
      one.bottom = y + 1;
      one.left = Math.min(one.left, x);
      one.right = Math.max(one.right, x + 1);
    }
  }
  for (const one of found) {
    [one.tall, one.wide] = [one.bottom - one.top, one.right - one.left];
    one.size = Math.max(one.tall, one.wide);
  }
  return found;
}

/**
 * Pieces that run around another one which is a drawing by its size.
 * @type {(found: Piece[]) => Piece[]}
 */
function framesOf(found) {
  const good = found.filter((one) => one.good);
  /** @type {(one: Piece, other: Piece) => boolean} */
  const within = (one, other) =>
    other.top > one.top && other.bottom < one.bottom && other.left > one.left && other.right < one.right;
  return good.filter(
    (one) =>
      2 * one.area <= one.tall * one.wide &&
      good.some((other) => within(one, other) && 10 * other.size >= 3 * one.size),
  );
}

/**
 * Long thin lying pieces, where another piece above or below is a drawing by its size.
 * @type {(found: Piece[]) => Piece[]}
 */
function underlinesOf(found) {
  const good = found.filter((one) => one.good);
  /** @type {(one: Piece) => (other: Piece) => boolean} */
  const parted = (one) => (other) => {
    if (other === one || other.left >= one.right || other.right <= one.left) return false;
    const spans = 2 * one.top >= other.top + other.bottom && other.left >= one.left && other.right <= one.right;
    return (spans ? 6 : 3) * other.tall >= one.wide;
  };
  return good.filter((one) => one.wide >= 5 * one.tall && good.some(parted(one)));
}

/**
 * Two long thin standing pieces, level with each other, with another piece between: the sides of a box.
 * @type {(found: Piece[]) => Piece[]}
 */
function sidesOf(found) {
  const good = found.filter((one) => one.good);
  const thin = good.filter((one) => one.tall >= 5 * one.wide);
  const sides = new Set();
  for (const one of thin) {
    for (const other of thin) {
      const level = [other.top - one.top, other.bottom - one.bottom].every((far) => 5 * Math.abs(far) <= one.tall);
      if (!level || other.left <= one.right) continue;
      if (good.some((piece) => piece.left >= one.right && piece.right <= other.left)) sides.add(one).add(other);
    }
  }
  return [...sides];
}

/**
 * Straight pieces that reach past another one, which is a drawing by its size, on two sides: the rest of a box.
 * @type {(found: Piece[], pieces: Int32Array, size: { width: number }) => Piece[]}
 */
function openFramesOf(found, pieces, { width }) {
  const good = found.filter((one) => one.good);
  const solid = good.filter((one) => 4 * Math.min(one.tall, one.wide) >= one.size);
  return good.filter((one) => {
    if (one.wide >= 5 * one.tall) return false;
    const isThin = one.tall >= 5 * one.wide;
    /** @type {(before: number, after: number) => boolean} */
    const isPast = (before, after) => 100 * Math.min(before, after) >= FIND.reach * one.size;
    /** @type {(other: Piece) => boolean} */
    const within = (other) =>
      5 * other.size >= 2 * one.size &&
      (isPast(other.top - one.top, one.bottom - other.bottom) ||
        (!isThin && isPast(other.left - one.left, one.right - other.right)));
    if (!solid.some(within)) return false;
    const [margin, number] = [Math.max(2, Math.floor(one.size / FIND.rim)), found.indexOf(one) + 1];
    let inner = 0;
    for (let y = one.top + margin; y < one.bottom - margin; y++) {
      for (let x = one.left + margin; x < one.right - margin; x++) inner += Number(pieces[y * width + x] === number);
    }
    return isThin || 10 * inner <= one.area;
  });
}

/**
 * Pieces no further from the main one, or from those near it, than two fifths of its size.
 * @type {(main: Piece, pieces: Piece[]) => Piece[]}
 */
function nearTo(main, pieces) {
  /** @type {Box} */
  let box = main;
  /** @type {Piece[]} */
  let near = [];
  for (let round = 0; round < 2; round++) {
    near = pieces.filter((one) => {
      const down = Math.max(one.top - box.bottom, box.top - one.bottom);
      const across = Math.max(one.left - box.right, box.left - one.right);
      return 5 * Math.max(down, across) <= 2 * main.size;
    });
    box = {
      top: Math.min(...near.map((one) => one.top)),
      bottom: Math.max(...near.map((one) => one.bottom)),
      left: Math.min(...near.map((one) => one.left)),
      right: Math.max(...near.map((one) => one.right)),
    };
  }
  return near;
}

/**
 * Pixels of straight thin lines that cross the picture, without what crosses them.
 * @type {(mask: Grey) => Grey}
 */
function linesIn(mask) {
  const level = levelLines(mask).data;
  const standing = transposed(levelLines(transposed(mask))).data;
  return like(mask, level.map((value, i) => value | standing[i]));
}

/**
 * Rows become columns.
 * @type {(mask: Grey) => Grey}
 */
function transposed({ data, width, height }) {
  return {
    data: Uint8Array.from(data, (_, i) => data[(i % height) * width + Math.floor(i / height)]),
    width: height,
    height: width,
  };
}

/**
 * Lines that cross the picture from left to right.
 * @type {(mask: Grey) => Grey}
 */
function levelLines(mask) {
  const { width, height } = mask;
  const lines = like(mask, new Uint8Array(mask.data.length));
  const fewest = FIND.crossing * width;
  const covered = new Set();
  mask.data.forEach((value, i) => value && covered.add(i % width));
  if (100 * covered.size < fewest) return lines;
  const runs = thinRuns(mask, Math.max(3, Math.floor(Math.max(width, height) / 24)));
  const offset = Math.floor((width * FIND.slope) / 1000) + 2;
  const bins = height + 2 * offset;
  const step = Math.floor((FIND.slope * 2) / (FIND.slants - 1));
  const coarse = Array.from(
    { length: FIND.slants },
    (_, k) => Math.floor((FIND.slope * (2 * k - FIND.slants + 1)) / (FIND.slants - 1)),
  );
  let left = runs;
  for (let round = 0; round < 8 && 100 * left.length >= fewest; round++) {
    let best = { votes: 0, slope: 0 };
    /** @type {(slope: number) => void} */
    const tryOut = (slope) => {
      const votes = Math.max(...threeBins(left, slope, bins, width, offset));
      if (votes > best.votes) best = { votes, slope };
    };
    coarse.forEach(tryOut);
    if (100 * best.votes < fewest) break;
    for (let slope = best.slope - step, last = best.slope + step; slope <= last; slope += 2) tryOut(slope);
    left = takeLines(left, best.slope, { lines, bins, offset, fewest });
  }
  return lines;
}

/**
 * Vertical runs of the mask that are at most `thickest` long, column by column: {x, top, end, middle (twice)}.
 * @type {(mask: Grey, thickest: number) => Run[]}
 */
function thinRuns({ data, width, height }, thickest) {
  const runs = [];
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      if (!data[y * width + x]) continue;
      const top = y;
      while (y < height && data[y * width + x]) y++;
      if (y - top <= thickest) runs.push({ x, top, end: y, middle: top + y });
    }
  }
  return runs;
}

/** @type {(run: Run, slope: number, width: number, offset: number) => number} */
function lineAt(run, slope, width, offset) {
  return Math.floor((run.middle - Math.floor(((2 * run.x - width) * slope) / 1000)) / 2) + offset;
}

/**
 * How many runs lie on each line of a slope, or on those beside it.
 * @type {(runs: Run[], slope: number, bins: number, width: number, offset: number) => Int32Array}
 */
function threeBins(runs, slope, bins, width, offset) {
  const counts = new Int32Array(bins);
  for (const run of runs) counts[lineAt(run, slope, width, offset)]++;
  return counts.map((value, i) => (i > 0 && i < bins - 1 ? counts[i - 1] + value + counts[i + 1] : 0));
}

/**
 * Draw the lines of one slope that cross the picture into `lines`, and return the runs that lie on none.
 * @type {(runs: Run[], slope: number, into: { lines: Grey, bins: number, offset: number, fewest: number }) => Run[]}
 */
function takeLines(runs, slope, { lines, bins, offset, fewest }) {
  const { width } = lines;
  const votes = threeBins(runs, slope, bins, width, offset);
  const near = new Uint8Array(bins);
  for (let count = 0; count < 40; count++) {
    const at = votes.indexOf(Math.max(...votes));
    if (100 * votes[at] < fewest) break;
    const on = runs.filter((run) => Math.abs(lineAt(run, slope, width, offset) - at) <= 2);
    const limit = ranked(on.map((run) => run.end - run.top), 3, 4) + 2;
    near.fill(1, Math.max(0, at - 2), at + 3);
    votes.fill(0, Math.max(0, at - 4), at + 5);
    for (const { x, top, end } of on) {
      if (end - top <= limit) { for (let y = top; y < end; y++) lines.data[y * width + x] = 1; }
    }
  }
  return runs.filter((run) => !near[lineAt(run, slope, width, offset)]);
}
