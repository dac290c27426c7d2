// Pictures made like the training images: the same steps, and the same pixels, as glyphnet.data.ink in Python, where
// they are described and numbered. A grey picture is {data: Uint8Array, width, height}. Needs resample.js and strokes.js.

const INK = { even: 16, faintest: 24, low: 30, high: 70, smallest: 160, largest: 320, cells: 32, reach: 6 };

/**
 * What the network sees: {pixels: Uint8Array of H·W·C, reason: "no_drawing" or null}.
 * pixels: RGBA as getImageData gives them; spec: what page_spec in Python gives, `image_shape` included.
 */
function normalizePicture(pixels, width, height, spec) {
  const channels = spec.image_shape[2];
  const seen = onWhite(pixels, width, height);
  const whole = () => ({ pixels: fitWhole(seen, spec.image_shape), reason: null });
  if (spec.background === null) return whole();
  const grey = greyOf(seen);
  const made = unchanged(grey, spec) ?? remade(atWorkingSize(grey), spec);
  if (made === null) return whole();
  const repeated = new Uint8Array(made.data.length * channels);
  for (let i = 0; i < repeated.length; i++) repeated[i] = made.data[Math.floor(i / channels)];
  return { pixels: repeated, reason: made.reason ?? null };
}

function remade(grey, spec) {
  return spec.kind === "ink" ? drawing(grey, spec) : subject(grey, spec);
}

/** Step 1: three planes {red, green, blue}, with transparency on white paper, rounded as Pillow rounds. */
function onWhite(pixels, width, height) {
  const planes = [0, 1, 2].map(() => new Uint8Array(width * height));
  for (let i = 0; i < width * height; i++) {
    const alpha = pixels[4 * i + 3];
    for (let c = 0; c < 3; c++) {
      const sum = (pixels[4 * i + c] * alpha + 255 * (255 - alpha) + 128) * 128;
      planes[c][i] = alpha === 255 ? pixels[4 * i + c] : (sum + (sum >> 8)) >> 15;
    }
  }
  return { planes, width, height };
}

function greyOf({ planes: [red, green, blue], width, height }) {
  const data = new Uint8Array(width * height);
  for (let i = 0; i < data.length; i++) data[i] = (red[i] * 19595 + green[i] * 38470 + blue[i] * 7471 + 32768) >> 16;
  return { data, width, height };
}

function negative({ data, width, height }) {
  return { data: data.map((value) => 255 - value), width, height };
}

/** The whole picture in the model's size, the rest in its border's colour: fit_image in Python. */
function fitWhole(seen, [height, width, channels]) {
  const planes = channels === 1 ? [greyOf(seen).data] : seen.planes;
  const fitted = planes.map((data) => fitPlane({ data, width: seen.width, height: seen.height }, width, height));
  const result = new Uint8Array(height * width * channels);
  fitted.forEach((plane, c) => plane.forEach((value, i) => (result[i * channels + c] = value)));
  return result;
}

function fitPlane(plane, width, height) {
  if (plane.width === width && plane.height === height) return plane.data;
  const scale = Math.min(width / plane.width, height / plane.height);
  const side = (from, to) => {
    const inner = roundToEven(from * scale);
    return to - inner <= 1 ? to : Math.max(1, inner);
  };
  const inner = resizeGrey(plane, side(plane.width, width), side(plane.height, height), "bicubic");
  const ring = borderOf(plane).sort();
  const fill = Math.floor((ring[ring.length / 2 - 1] + ring[ring.length / 2]) / 2);
  return paste(inner, width, height, fill, Math.floor((height - inner.height) / 2), Math.floor((width - inner.width) / 2));
}

function roundToEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.floor(value + 0.5);
  return below % 2 === 0 ? below : below + 1;
}

function paste(patch, width, height, around, top, left) {
  const data = new Uint8Array(width * height).fill(around);
  for (let y = 0; y < patch.height; y++) {
    data.set(patch.data.subarray(y * patch.width, (y + 1) * patch.width), (top + y) * width + left);
  }
  return data;
}

/** The outermost pixels, those of the corners twice. */
function borderOf({ data, width, height }) {
  const ring = new Uint8Array(2 * (width + height));
  let i = 0;
  for (let x = 0; x < width; x++) (ring[i++] = data[x]), (ring[i++] = data[(height - 1) * width + x]);
  for (let y = 0; y < height; y++) (ring[i++] = data[y * width]), (ring[i++] = data[y * width + width - 1]);
  return ring;
}

/** Step 2: the picture, or its negative, if it is like a training image as it is. */
function unchanged(grey, spec) {
  const [height, width] = spec.image_shape;
  if (grey.width !== width || grey.height !== height) return null;
  return [grey, negative(grey)].find((candidate) => isLike(candidate, spec)) ?? null;
}

function isLike(grey, spec) {
  const ring = borderOf(grey);
  if (spec.kind === "photo") {
    const near = (level) => ring.filter((value) => Math.abs(value - level) < INK.even).length;
    return near(spec.background) >= near(255 - spec.background);
  }
  const contrast = Math.abs(spec.ink - spec.background);
  const sign = spec.ink > spec.background ? 1 : -1;
  if (2 * ring.filter((value) => 2 * sign * (value - spec.background) < contrast).length < ring.length) return false;
  const depth = Int32Array.from(grey.data, (value) => sign * (value - spec.background));
  const box = boxOf({ data: depth, width: grey.width, height: grey.height }, contrast / 4);
  if (box === null) return false;
  const filled = Math.max((box.bottom - box.top) / spec.box[0], (box.right - box.left) / spec.box[1]);
  if (filled < 0.9 * spec.sizes[0] || filled > 1.05 * spec.sizes[1]) return false;
  const mass = { data: depth.map((value) => Math.max(value, 0)), width: grey.width, height: grey.height };
  const centre = spec.centring === "mass" ? massCentre(mass) : [(box.top + box.bottom) / 2, (box.left + box.right) / 2];
  return centre.every((place, axis) => Math.abs(place - spec.centre[axis]) <= spec.drift + 0.5);
}

/** The bounding box of values of at least `least`; ends excluded; null if there are none. */
function boxOf({ data, width, height }, least) {
  const box = { top: height, bottom: 0, left: width, right: 0 };
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (data[i] < least) continue;
      box.top = Math.min(box.top, y);
      box.bottom = y + 1;
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
    }
  }
  return box.bottom ? box : null;
}

/** [y, x] of the centre of mass, in pixels from the upper left corner. */
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

/** Step 3. */
function atWorkingSize(grey) {
  const longest = Math.max(grey.width, grey.height);
  if (longest < INK.smallest) {
    const factor = Math.ceil(INK.smallest / longest);
    return resizeGrey(grey, grey.width * factor, grey.height * factor, "bicubic");
  }
  if (longest <= INK.largest) return grey;
  const factor = Math.ceil(longest / INK.largest);
  const [width, height] = [grey.width, grey.height].map((side) => Math.max(1, Math.floor(side / factor)));
  const right = Math.min(grey.width, width * factor);
  const bottom = Math.min(grey.height, height * factor);
  return resizeGrey(cut(grey, { top: 0, bottom, left: 0, right }), width, height, "box");
}

function cut({ data, width }, { top, bottom, left, right }) {
  const part = { data: new Uint8Array((bottom - top) * (right - left)), width: right - left, height: bottom - top };
  for (let y = top; y < bottom; y++) part.data.set(data.subarray(y * width + left, y * width + right), (y - top) * part.width);
  return part;
}

/** Steps 4 to 11. */
function drawing(grey, spec) {
  const [height, width] = spec.image_shape;
  const amount = amountOfInk(inkDepth(grey));
  if (amount === null) {
    return { data: new Uint8Array(width * height).fill(spec.background), width, height, reason: "no_drawing" };
  }
  const patch = asThickAs(amount, spec);
  const peak = patch.data.reduce((most, value) => Math.max(most, value), 1);
  patch.data = patch.data.map((value) => Math.floor((510 * value + peak) / (2 * peak)));
  const data = placed(patch, spec, 0);
  const span = spec.ink - spec.background;
  return { data: data.map((value) => spec.background + Math.floor((2 * value * span + 255) / 510)), width, height };
}

/** The patch with its centre where training has it, on a level all around. */
function placed(patch, spec, around) {
  const [height, width] = spec.image_shape;
  let [y, x] = [patch.height / 2, patch.width / 2];
  const mass = patch.data.map((value) => Math.abs(value - around));
  if (spec.centring === "mass" && mass.some((value) => value > 0)) [y, x] = massCentre({ ...patch, data: mass });
  const within = (place, most) => Math.min(Math.max(Math.floor(place + 0.5), 0), most);
  const top = within(spec.centre[0] - y, height - patch.height);
  const left = within(spec.centre[1] - x, width - patch.width);
  return paste(patch, width, height, around, top, left);
}

/** What stands before an even background; null if the background is not even. */
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
  const mask = values.data.map((value) => (Math.abs(value - level) >= INK.faintest ? 1 : 0));
  if (!mask.includes(1)) return null;
  const part = cut(values, findInk({ ...grey, data: mask }).box);
  part.data = part.data.map((value) => Math.min(255, Math.max(0, value - level + spec.background)));
  return { data: placed(inBox(part, spec.box, "bicubic"), spec, spec.background), width, height };
}

/** Resized so that it fills the box in one direction. */
function inBox(part, [tall, wide], filter) {
  const { width, height } = part;
  const size =
    height * wide >= width * tall
      ? [Math.max(1, Math.floor((2 * width * tall + height) / (2 * height))), tall]
      : [wide, Math.max(1, Math.floor((2 * height * wide + width) / (2 * width)))];
  return resizeGrey(part, ...size, filter);
}
