// The strokes in a picture: taken off the paper, parted from specks, made as wide as in training. See ink.js.

/** Steps 4 to 6: how far each pixel is from the paper around it, towards ink. */
function inkDepth(grey) {
  const { width, height } = grey;
  const longest = Math.max(width, height);
  const cells = Math.min(INK.cells, longest);
  const [across, down] = [width, height].map((side) => Math.max(1, Math.floor((2 * side * cells + longest) / (2 * longest))));
  let grid = resizeGrey(grey, across, down, "box");
  let { data } = grey;
  if (!inkIsLight(grid)) {
    grid = negative(grid);
    data = negative(grey).data;
  }
  const paper = resizeGrey(withoutStrokes(grid), width, height, "triangle").data;
  return { data: data.map((value, i) => Math.max(0, value - paper[i])), width, height };
}

function middleOf(values) {
  return Uint8Array.from(values).sort()[Math.floor(values.length / 2)];
}

function inkIsLight({ data, width, height }) {
  const column = (x) => Array.from({ length: height }, (_, y) => data[y * width + x]);
  const [top, bottom] = [data.slice(0, width), data.slice((height - 1) * width)];
  const [left, right] = [column(0), column(width - 1)];
  const level = middleOf([...top, ...bottom, ...left, ...right]);
  const slopes = [middleOf(right) - middleOf(left), middleOf(bottom) - middleOf(top)];
  let sum = 0;
  for (let y = 0; y < height; y++) {
    const down = slopes[1] * ((y + 0.5) / height - 0.5);
    for (let x = 0; x < width; x++) {
      const plane = level + slopes[0] * ((x + 0.5) / width - 0.5) + down;
      sum += Math.floor(data[y * width + x] - plane + 0.5) ** 3;
    }
  }
  return sum > 0;
}

/** Morphological opening of the grid; the dilation goes on beyond the border as the paper does. */
function withoutStrokes({ data, width, height }) {
  const clamped = (line, i) => line[Math.min(Math.max(i, 0), line.length - 1)];
  const beyond = (line, i) => {
    const inside = Math.min(Math.max(i, 0), line.length - 1);
    return inside === i ? line[i] : 2 * line[inside] - clamped(line, 2 * inside - i);
  };
  let values = Int32Array.from(data);
  for (const [read, choose] of [[clamped, Math.min], [beyond, Math.max]]) {
    for (const [count, size, stride, step] of [[width, height, 1, width], [height, width, width, 1]]) {
      const result = new Int32Array(values.length);
      for (let n = 0; n < count; n++) {
        const line = Int32Array.from({ length: size }, (_, i) => values[n * stride + i * step]);
        for (let i = 0; i < size; i++) {
          let found = line[i];
          for (let k = i - INK.reach; k <= i + INK.reach; k++) found = choose(found, read(line, k));
          result[n * stride + i * step] = found;
        }
      }
      values = result;
    }
  }
  return { data: Uint8Array.from(values, (value) => Math.min(255, Math.max(0, value))), width, height };
}

/** Step 7: Otsu's threshold. */
function bestThreshold(counts) {
  const pixels = counts.reduce((sum, count) => sum + count, 0);
  const whole = counts.reduce((sum, count, level) => sum + count * level, 0);
  let [below, mass, best, most] = [0, 0, 0, 0];
  for (let level = 0; level < 256; level++) {
    below += counts[level];
    mass += counts[level] * level;
    const difference = whole * below - mass * pixels;
    const between = below && below < pixels ? ((difference / below) * difference) / (pixels - below) : 0;
    if (between > most) [best, most] = [level, between];
  }
  return best;
}

/** Steps 7 to 9: the ink within its bounding box, 0 to 255, or null on an empty sheet. */
function amountOfInk({ data, width, height }) {
  const counts = new Array(256).fill(0);
  for (const value of data) counts[value]++;
  const threshold = bestThreshold(counts);
  let [pixels, mass] = [0, 0];
  for (let level = threshold + 1; level < 256; level++) {
    pixels += counts[level];
    mass += counts[level] * level;
  }
  const full = pixels ? Math.floor((2 * mass + pixels) / (2 * pixels)) : 0;
  if (full < INK.faintest) return null;
  const { mask, box } = findInk({ data: data.map((value) => (value > threshold ? 1 : 0)), width, height });
  const rise = (INK.high - INK.low) * full;
  const amounts = counts.map((_, level) =>
    Math.min(255, Math.max(0, Math.floor((510 * (100 * level - INK.low * full) + rise) / (2 * rise)))),
  );
  const kept = data.map((value, i) => (value > threshold && !mask[i] ? 0 : amounts[value]));
  return cut({ data: kept, width, height }, box);
}

/** Step 8: {mask, box} of what is neither speck nor rim, of a mask of 0 and 1. */
function findInk({ data, width, height }) {
  const pieces = new Int32Array(data.length); // 0: none yet
  const areas = [0];
  const contacts = [0];
  for (let start = 0; start < data.length; start++) {
    if (!data[start] || pieces[start]) continue;
    const piece = areas.length;
    const waiting = [start];
    pieces[start] = piece;
    let [area, contact] = [0, 0];
    while (waiting.length) {
      const place = waiting.pop();
      const [y, x] = [Math.floor(place / width), place % width];
      area++;
      if (y === 0 || y === height - 1 || x === 0 || x === width - 1) contact++;
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
          const near = row * width + column;
          if (!data[near] || pieces[near]) continue;
          pieces[near] = piece;
          waiting.push(near);
        }
      }
    }
    areas.push(area);
    contacts.push(contact);
  }
  const longest = Math.max(width, height);
  let inner = contacts.map((contact, piece) => piece > 0 && 4 * contact <= longest);
  if (!inner.includes(true)) inner = contacts.map((_, piece) => piece > 0);
  const largest = areas.reduce((most, area, piece) => (inner[piece] ? Math.max(most, area) : most), 0);
  const kept = areas.map((area, piece) => inner[piece] && 40 * area >= largest);
  const mask = Uint8Array.from(pieces, (piece) => (kept[piece] ? 1 : 0));
  return { mask, box: boxOf({ data: mask, width, height }, 1) };
}

/** Step 10: the ink in the size of the box, with strokes as wide as in training. */
function asThickAs(amount, spec) {
  const patch = inBox(amount, spec.box, "box");
  const scale = Math.max(amount.width, amount.height) / Math.max(patch.width, patch.height);
  const width = strokeWidth(amount) / scale;
  const missing = Math.min(Math.max(width, spec.strokes[0]), spec.strokes[1]) - width;
  const steps = Math.floor(missing * scale * (2 / Math.PI) + 0.5);
  if (steps === 0) return patch;
  const changed = thicken(padded(amount, Math.max(0, steps)), steps);
  const box = boxOf(changed, 128);
  return box === null ? patch : inBox(cut(changed, box), spec.box, "box");
}

/** Twice the area over the length of the outline, in pixels. */
function strokeWidth({ data, width, height }) {
  const around = padded({ data, width, height }, 1);
  const step = around.width;
  let area = 0;
  let outline = 0;
  for (let i = step; i < around.data.length; i++) {
    const value = around.data[i];
    area += value;
    outline += Math.abs(value - around.data[i - step]) + Math.abs(value - around.data[i - 1]);
  }
  return (2 * area) / Math.max(outline, 1);
}

function padded({ data, width, height }, by) {
  const whole = paste({ data, width, height }, width + 2 * by, height + 2 * by, 0, by, by);
  return { data: whole, width: width + 2 * by, height: height + 2 * by };
}

/** Dilation by a cross and a square in turn; erosion, where steps are negative, is the dilation of negative values. */
function thicken({ data, width, height }, steps) {
  const sign = Math.sign(steps);
  const row = width + 2;
  let now = Int16Array.from(padded({ data, width, height }, 1).data, (value) => sign * value);
  const cross = [-1, 1, -row, row];
  const square = [...cross, -row - 1, -row + 1, row - 1, row + 1];
  for (let step = 0; step < Math.abs(steps); step++) {
    const next = now.slice();
    const around = step % 2 === 1 ? square : cross;
    for (let y = 1; y <= height; y++) {
      for (let i = y * row + 1; i <= y * row + width; i++) {
        let most = now[i];
        for (let k = 0; k < around.length; k++) if (now[i + around[k]] > most) most = now[i + around[k]];
        next[i] = most;
      }
    }
    now = next;
  }
  const whole = Uint8Array.from(now, (value) => sign * value);
  return cut({ data: whole, width: row, height: height + 2 }, { top: 1, bottom: height + 1, left: 1, right: width + 1 });
}
