// @ts-check
// The plot of the embedding: one point for each image, in the colour of its class; mistakes have a ring.

import { drawingContext } from "../../pages/js/elements.js";
import { data, images } from "./data.js";

/**
 * The plot as it is now: the canvas and its size in CSS pixels, a place in the unit square for each image of the page
 * that is shown, the class that is highlighted (null: all), and the point in focus or -1.
 * @typedef {{
 *   canvas: HTMLCanvasElement, size: number, points: Float32Array, images: number[], chosen: number | null,
 *   at: number,
 * }} Plot
 */

// Ten hues that differ in lightness too, for light and for dark pages.
const HUES = {
  light: ["#0067a8", "#d95f02", "#2e8b57", "#b5179e", "#8a6d00", "#7b5cd6", "#c1121f", "#00868b", "#5c5c5c", "#e08ab0"],
  dark: ["#6bb8ee", "#f59a52", "#6fcf97", "#ee7fd8", "#e6c84f", "#b39cff", "#ff7b7b", "#4fd1d1", "#b8b8b8", "#f7b7d2"],
};
const MARGIN = 14; // pixels around the points

/**
 * Whether the page is dark now, by the button or by the system.
 * @type {() => boolean}
 */
function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** @type {(label: number) => string | null} */
export function hueOf(label) {
  const hues = HUES[isDark() ? "dark" : "light"];
  return data.classes.length <= hues.length ? hues[label] : null;
}

/**
 * Where point k lies on a canvas of this size, in CSS pixels.
 * @type {(points: Float32Array, k: number, size: number) => [x: number, y: number]}
 */
export function placeOf(points, k, size) {
  const side = size - 2 * MARGIN;
  return [MARGIN + points[2 * k] * side, MARGIN + points[2 * k + 1] * side];
}

/**
 * Draw all points: those of the chosen class, or all, in colour; the others in grey beneath.
 * @type {(plot: Plot) => void}
 */
export function drawPlot(plot) {
  const { canvas, size, points, images: shown, chosen, at } = plot;
  const density = devicePixelRatio || 1;
  canvas.width = canvas.height = Math.round(size * density);
  const pen = drawingContext(canvas);
  pen.scale(density, density);
  const style = getComputedStyle(document.documentElement);
  /** @type {(name: string) => string} */
  const of = (name) => style.getPropertyValue(name).trim();
  const [grey, ink, page, chosenHue] = [of("--line"), of("--ink"), of("--surface"), of("--blue")];
  /** @type {(k: number) => boolean} */
  const lit = (k) => chosen === null || images.labels[shown[k]] === chosen;
  const order = [...shown.keys()].sort((a, b) => Number(lit(a)) - Number(lit(b)));
  const radius = size < 420 ? 2.2 : 3;
  for (const k of order) {
    const label = images.labels[shown[k]];
    const [x, y] = placeOf(points, k, size);
    const wrong = label !== images.predictions[shown[k]];
    const hue = !lit(k) ? grey : (hueOf(label) ?? (chosen === null ? of("--soft") : chosenHue));
    dot(pen, x, y, radius, hue, lit(k) ? 0.85 : 0.7);
    if (wrong && lit(k)) ring(pen, x, y, radius + 2, ink, 1.4);
  }
  if (hueOf(0) !== null) nameGroups(pen, plot, { ink, page });
  if (at >= 0) {
    const [x, y] = placeOf(points, at, size);
    ring(pen, x, y, radius + 4, page, 5);
    dot(pen, x, y, radius + 1, hueOf(images.labels[shown[at]]) ?? chosenHue, 1);
    ring(pen, x, y, radius + 4, ink, 2);
  }
}

/**
 * @type {(pen: CanvasRenderingContext2D, x: number, y: number, radius: number, colour: string, alpha: number) => void}
 */
function dot(pen, x, y, radius, colour, alpha) {
  pen.globalAlpha = alpha;
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
  pen.globalAlpha = 1;
}

/**
 * @type {(pen: CanvasRenderingContext2D, x: number, y: number, radius: number, colour: string, width: number) => void}
 */
function ring(pen, x, y, radius, colour, width) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.stroke();
}

/**
 * The name of each class at the middle of its points.
 * @type {(pen: CanvasRenderingContext2D, plot: Plot, colours: { ink: string, page: string }) => void}
 */
function nameGroups(pen, { size, points, images: shown, chosen }, { ink, page }) {
  pen.font = "600 15px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  data.classes.forEach((name, label) => {
    const mine = [...shown.keys()].filter((k) => images.labels[shown[k]] === label);
    if (!mine.length || (chosen !== null && chosen !== label)) return;
    const places = mine.map((k) => placeOf(points, k, size));
    /** @type {(axis: 0 | 1) => number} */
    const middle = (axis) => places.map((place) => place[axis]).sort((a, b) => a - b)[places.length >> 1];
    const text = name.length > 12 ? `${name.slice(0, 11)}…` : name;
    pen.strokeStyle = page;
    pen.lineWidth = 4;
    pen.strokeText(text, middle(0), middle(1));
    pen.fillStyle = ink;
    pen.fillText(text, middle(0), middle(1));
  });
}
