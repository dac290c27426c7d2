// Small pictures: noise, stripes, blur and uneven paper are measured, and only what exceeds training is repaired. The
// same values as glyphnet.data.ink.repair in Python, where the steps are described. Needs filters.js.

const REPAIR = {
  faintest: 24, fewest: 12, frame: 3, ramp: [25, 70], directions: 48, piece: 14, gain: 0.03, strengths: [1, 2, 3, 5, 8, 12],
};

/** {depth, full, repaired} of the ink in a picture near the model's size; null if nothing is drawn. */
function smallDepth(grey, spec) {
  const { picture, stripes } = withoutStripes(like(grey, Int32Array.from(grey.data)));
  let { depth, light } = overPaper(picture);
  if (stripes !== null) depth = withHeadroom(depth, stripes, light);
  const noise = paperNoise(depth);
  let noisy = noise > spec.noise;
  if (specksOf(depth) > Math.max(spec.specks, Math.floor(1000 / depth.data.length))) {
    depth = withoutSpecks(depth);
    noisy = noisy || paperNoise(depth) > spec.noise;
  }
  if (noisy) depth = binomial(depth);
  depth = like(depth, depth.data.map((value) => Math.max(value, 0)));
  let full = fullInk(depth.data);
  if (full < Math.max(REPAIR.faintest, Math.floor(noise / 4))) return null;
  if (strokeLengthOf(depth, full) > spec.length) return null;
  let repaired = noisy || stripes !== null;
  if (repaired) {
    depth = withoutPieces(ramp(depth, full, REPAIR.ramp));
    full = 255;
  }
  if (softnessOf(depth, full) > spec.softness) {
    ({ depth, full } = sharpened(depth, spec));
    repaired = true;
  }
  return { depth, full, repaired };
}

/** Four times the deviation of the noise on the paper, in levels; 0 if there is none. */
function paperNoise(depth) {
  const { data, width, height } = depth;
  if (Math.min(width, height) < 3) return 0;
  const threshold = otsuThreshold(data);
  const rough = [];
  for (let y = 0; y < height - 2; y++) {
    for (let x = 0; x < width - 2; x++) {
      const part = [0, 1, 2].map((v) => [0, 1, 2].map((u) => data[(y + v) * width + x + u]));
      if (part.flat().some((value) => value > threshold)) continue;
      const down = [0, 1, 2].map((u) => part[0][u] + part[2][u] - 2 * part[1][u]);
      rough.push(Math.abs(down[0] + down[2] - 2 * down[1]));
    }
  }
  if (rough.length < Math.max(64, Math.floor(((width - 2) * (height - 2)) / 10))) return 0;
  return upperMedian(rough);
}

/** The ink without pieces much lighter than the heaviest. */
function withoutPieces(depth) {
  const { pieces, count } = piecesOf(like(depth, depth.data.map((value) => (value >= 64 ? 1 : 0))));
  if (count < 2) return depth;
  const mass = new Array(count + 1).fill(0);
  depth.data.forEach((value, i) => (mass[pieces[i]] += value));
  mass[0] = 0;
  const most = Math.max(...mass);
  return like(depth, depth.data.map((value, i) => (pieces[i] === 0 || mass[pieces[i]] * REPAIR.piece >= most ? value : 0)));
}

/** Unsharp masking, as much as makes edges as sharp as in training: {depth, full}. */
function sharpened(depth, spec) {
  const blurred = boxMean(boxMean(depth, 2), 2).data;
  let made = depth.data;
  let full = 1;
  for (const strength of REPAIR.strengths) {
    made = depth.data.map((value, i) => Math.max(value + strength * (value - blurred[i]), 0));
    const most = made.reduce((peak, value) => Math.max(peak, value), 0);
    const level = fullInk(made.map((value) => Math.floor((value * 255) / Math.max(1, most))));
    full = Math.max(1, Math.floor((level * most) / 255));
    if (softnessOf(like(depth, made), full) <= spec.softness) break;
  }
  return { depth: like(depth, made.map((value) => Math.min(Math.floor((value * 255) / full), 255))), full: 255 };
}

/** {depth, light}: paper is even, a plane, or a surface, whichever parts ink from paper best. */
function overPaper(grey) {
  let { above, share } = partedBy(grey.data);
  const plane = slopeOf(grey);
  if (plane.some((value) => value !== 0)) {
    const flat = grey.data.map((value, i) => value - plane[i]);
    const better = partedBy(flat);
    if (better.share > share + REPAIR.gain) {
      grey = like(grey, flat);
      ({ above, share } = better);
    }
  }
  const { depth, light } = fromLevel(grey, above);
  const upright = like(grey, grey.data.map((value) => (light ? value : -value)));
  const ring = borderOf(upright);
  const small = Math.min(grey.width, grey.height) < REPAIR.fewest;
  if (small || ranked(ring, 19, 20) - ranked(ring, 1, 20) < REPAIR.faintest) return { depth, light };
  const reach = Math.max(2, Math.floor(Math.max(grey.width, grey.height) / 5));
  const ground = opened(binomial(binomial(upright)), reach).data;
  if (ranked(ground, 19, 20) - ranked(ground, 1, 20) < REPAIR.faintest) return { depth, light };
  let over = upright.data.map((value, i) => value - ground[i]);
  const offset = Math.max(0, ranked(over, 1, 3));
  over = over.map((value) => value - offset);
  const better = partedBy(over.map((value) => Math.min(255, Math.max(0, value)))).share > share + REPAIR.gain;
  return better ? { depth: like(grey, over), light } : { depth, light };
}

/** {above: 0 or 1 for each value, share: of the variance that lies between them and the others}. */
function partedBy(values) {
  const low = values.reduce((least, value) => Math.min(least, value), values[0]);
  const high = values.reduce((most, value) => Math.max(most, value), values[0]);
  const wide = high - low > 255;
  const scaled = values.map((value) => (wide ? Math.floor(((value - low) * 255) / (high - low)) : value - low));
  const threshold = otsuThreshold(scaled);
  const above = scaled.map((value) => (value > threshold ? 1 : 0));
  const n = scaled.length;
  let [total, squares, many, mass] = [0, 0, 0, 0];
  scaled.forEach((value, i) => {
    total += value;
    squares += value * value;
    if (above[i]) (many += 1), (mass += value);
  });
  const variance = n * squares - total * total;
  if (!variance || !many || many === n) return { above, share: 0 };
  const difference = mass * n - total * many;
  return { above, share: (((difference / many) * difference) / (n - many)) / variance };
}

function fromLevel(grey, above) {
  const { width, height, data } = grey;
  const ring = borderOf(like(grey, above));
  const corners = above[0] + above[width - 1] + above[(height - 1) * width] + above[height * width - 1];
  const [onRing, onAll] = [ring, above].map((values) => values.reduce((sum, value) => sum + value, 0));
  const votes = 8 * above.length * onRing + ring.length * above.length * corners + 4 * ring.length * onAll;
  const light = votes < 8 * ring.length * above.length;
  const upright = data.map((value) => (light ? value : -value));
  const paper = upright.filter((_, i) => (above[i] === 1) !== light);
  const level = levelOf(paper.length ? paper : upright);
  return { depth: like(grey, upright.map((value) => value - level)), light };
}

/** The level of even paper: the value that an eighth of it shares, the lowest of the most frequent, or the median. */
function levelOf(paper) {
  const counts = new Map();
  for (const value of paper) counts.set(value, (counts.get(value) ?? 0) + 1);
  let [level, most] = [0, 0];
  for (const [value, count] of counts) {
    if (count > most || (count === most && value < level)) [level, most] = [value, count];
  }
  return 8 * most >= paper.length ? level : upperMedian(paper);
}

/** The plane through the medians of opposite sides, where they differ. */
function slopeOf({ data, width, height }) {
  const side = (count, at) => upperMedian(Int32Array.from({ length: count }, (_, i) => data[at(i)]));
  const down = side(width, (i) => (height - 1) * width + i) - side(width, (i) => i);
  const across = side(height, (i) => i * width + width - 1) - side(height, (i) => i * width);
  const fall = (i, by, size) => (Math.abs(by) >= REPAIR.faintest ? Math.floor(((2 * i + 1 - size) * by) / (2 * size)) : 0);
  return data.map((_, i) => fall(Math.floor(i / width), down, height) + fall(i % width, across, width));
}

/** {picture, stripes}: the picture less lines that repeat across it, and these; null without stripes. */
function withoutStripes(grey) {
  const { data, width, height } = grey;
  const none = { picture: grey, stripes: null };
  if (Math.min(width, height) < REPAIR.fewest) return none;
  const { frame: edge } = REPAIR;
  const framed = [];
  for (let i = 0; i < data.length; i++) {
    const [y, x] = [Math.floor(i / width), i % width];
    if (y < edge || y >= height - edge || x < edge || x >= width - edge) framed.push(i);
  }
  const frame = framed.map((i) => data[i]);
  if (ranked(frame, 9, 10) - ranked(frame, 1, 10) < REPAIR.faintest) return none;
  const lines = stripeDirection(frame, framed, grey);
  if (lines === null) return none;
  const groups = Array.from({ length: Math.max(...lines) + 1 }, () => []);
  framed.forEach((i) => groups[lines[i]].push(data[i]));
  const between = upperMedian(frame);
  const profile = groups.map((values) => (values.length ? upperMedian(values) : between));
  const middle = Math.min(...profile) + Math.max(...profile);
  const turns = profile.filter((value, k) => k > 0 && 2 * value > middle !== 2 * profile[k - 1] > middle).length;
  if (turns < 5) return none;
  const stripes = data.map((_, i) => profile[lines[i]]);
  return { picture: like(grey, data.map((value, i) => value - stripes[i])), stripes };
}

/** The number of the line that each pixel is on, in the direction that explains the frame best; null if none does. */
function stripeDirection(frame, framed, { data, width }) {
  const n = frame.length;
  const total = frame.reduce((sum, value) => sum + value, 0);
  const spread = n * frame.reduce((sum, value) => sum + value * value, 0) - total * total;
  let [best, chosen] = [0, null];
  for (let turn = 0; turn < REPAIR.directions; turn++) {
    const angle = (Math.PI * turn) / REPAIR.directions;
    const [along, across] = [Math.cos(angle), Math.sin(angle)].map((part) => Math.floor(1024 * part + 0.5));
    let lines = data.map((_, i) => (Math.floor(i / width) * along + (i % width) * across + 512) >> 10);
    const first = Math.min(...lines);
    lines = lines.map((line) => line - first);
    const [counts, sums] = [[], []];
    framed.forEach((i, k) => {
      counts[lines[i]] = (counts[lines[i]] ?? 0) + 1;
      sums[lines[i]] = (sums[lines[i]] ?? 0) + frame[k];
    });
    let squares = 0;
    counts.forEach((count, line) => (squares += Math.floor((sums[line] * sums[line]) / count)));
    const explained = squares * n - total * total;
    if (explained > best) [best, chosen] = [explained, lines];
  }
  return 10 * best >= 6 * spread ? chosen : null;
}

/** What stripes left of the ink, as deep as between them; where they left nothing, from the neighbours. */
function withHeadroom(depth, stripes, light) {
  const { width, height } = depth;
  const extreme = (choose, values) => values.reduce((found, value) => choose(found, value), values[0]);
  const room = stripes.map((value) => (light ? 255 - value : value));
  const most = extreme(Math.max, room);
  let made = depth.data.map((value, i) => Math.floor((value * most) / Math.max(room[i], 1)));
  let known = room.map((value) => (4 * value >= most ? 1 : 0));
  const middle = extreme(Math.min, stripes) + extreme(Math.max, stripes);
  const lined = stripes.map((value) => (2 * value >= middle === light ? 1 : 0));
  const [on, off] = [1, 0].map((side) => {
    const inside = made.filter((_, i) => known[i] && lined[i] === side);
    return { count: inside.length, sum: inside.reduce((sum, value) => sum + Math.max(value, 0), 0) };
  });
  if (on.count && off.count && 5 * on.sum * off.count < 2 * off.sum * on.count) known = known.map((k, i) => (lined[i] ? 0 : k));
  while (known.includes(0) && known.includes(1)) {
    const [filled, there] = [made.slice(), known.slice()];
    for (let i = 0; i < made.length; i++) {
      if (known[i]) continue;
      const [y, x] = [Math.floor(i / width), i % width];
      const near = [];
      if (y > 0) near.push(i - width);
      if (y < height - 1) near.push(i + width);
      if (x > 0) near.push(i - 1);
      if (x < width - 1) near.push(i + 1);
      const seen = near.filter((k) => known[k]);
      if (!seen.length) continue;
      filled[i] = Math.floor(seen.reduce((sum, k) => sum + made[k], 0) / seen.length);
      there[i] = 1;
    }
    [made, known] = [filled, there];
  }
  return like(depth, made);
}

/** How many pixels of ink have no neighbour of ink, in thousandths of the picture. */
function specksOf(depth) {
  const { data, width, height } = depth;
  const threshold = otsuThreshold(data);
  const ink = rimmed(like(depth, data.map((value) => (value > threshold ? 1 : 0))), 1, 0);
  let alone = 0;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) if (data[i] > threshold && !neighbours(ink, x, y).includes(1)) alone++;
  }
  return Math.floor((1000 * alone) / data.length);
}

/** Pixels unlike nearly all of their neighbours become these' median. */
function withoutSpecks(depth) {
  const { width, height } = depth;
  let { data } = depth;
  for (let round = 0; round < 2; round++) {
    const wide = rimmed(like(depth, data), 1);
    const next = data.slice();
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const around = neighbours(wide, x, y);
        const apart = around.filter((value) => Math.abs(value - data[i]) >= 2 * REPAIR.faintest).length;
        if (apart >= 7) next[i] = ranked(around, 1, 2);
      }
    }
    data = next;
  }
  return like(depth, data);
}
