// What is on the pad: strokes and pictures, in their order. Every change keeps what was there before, for undo.

const LONGEST = 448; // pixels of the sheet that the network's image is made from
const LARGEST = 4096; // pixels of the longer side of a picture that is read
const PEN = 0.062; // width of a stroke, as a share of the sheet's shorter side

/** The pixels of a picture in its own size: RGBA, width, height; of a very large one in a smaller size. */
function pixelsOf(picture) {
  const scale = Math.min(1, LARGEST / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  return [context.getImageData(0, 0, width, height).data, width, height];
}

export class Sheet {
  constructor(width, height) {
    this.aspect = width / height;
    this.items = [];
    this.before = [];
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.render();
  }

  get empty() {
    return this.items.length === 0;
  }

  get picture() {
    return this.items.find((item) => item.picture)?.picture ?? null;
  }

  change(items) {
    this.before.push(this.items);
    this.items = items;
    this.render();
  }

  undo() {
    if (this.before.length) this.items = this.before.pop();
    this.render();
  }

  clear() {
    if (!this.empty) this.change([]);
  }

  show(picture) {
    this.change([{ picture }]);
  }

  /** Begin a stroke; places are shares of the sheet's width and height. */
  begin(place) {
    this.change([...this.items, { stroke: [place] }]);
  }

  /** Draw the newest stroke on. */
  extend(places) {
    this.items.at(-1).stroke.push(...places);
    this.render(); // piece by piece the edges would be darker than after undo
  }

  render() {
    const picture = this.picture;
    const aspect = picture ? picture.width / picture.height : this.aspect;
    this.canvas.width = Math.max(1, Math.round(LONGEST * Math.min(1, aspect)));
    this.canvas.height = Math.max(1, Math.round(LONGEST / Math.max(1, aspect)));
    const { width, height } = this.canvas;
    this.context.fillStyle = "#fff";
    this.context.fillRect(0, 0, width, height);
    this.context.imageSmoothingQuality = "high";
    if (picture) this.context.drawImage(picture, 0, 0, width, height);
    for (const { stroke } of this.items) if (stroke) this.line(stroke);
  }

  line(places) {
    const { context, canvas } = this;
    context.strokeStyle = "#000";
    context.lineWidth = PEN * Math.min(canvas.width, canvas.height);
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    const [first, ...rest] = places.map(([x, y]) => [x * canvas.width, y * canvas.height]);
    context.moveTo(...first);
    for (const place of rest.length ? rest : [first]) context.lineTo(...place); // a tap is a dot
    context.stroke();
  }

  /** Its pixels: RGBA, width, height; a picture on which nothing is drawn has its own size, as in other programs. */
  pixels() {
    if (this.picture && this.items.length === 1) return pixelsOf(this.picture);
    const { width, height } = this.canvas;
    return [this.context.getImageData(0, 0, width, height).data, width, height];
  }
}
