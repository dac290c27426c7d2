// @ts-check
// Finding and making elements. Text is always set as text: a class named "<img onerror=…>" stays what it is.

/**
 * Attributes by name, and "text"; null leaves one out.
 * @typedef {{ [name: string]: string | number | null | undefined }} Attributes
 */

/**
 * An HTML element with attributes and children.
 * @type {<Name extends keyof HTMLElementTagNameMap>(
 *   name: Name, attributes?: Attributes, ...children: (Node | string)[]
 * ) => HTMLElementTagNameMap[Name]}
 */
export function html(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/**
 * An SVG element with attributes and children.
 * @type {<Name extends keyof SVGElementTagNameMap>(
 *   name: Name, attributes?: Attributes, ...children: (Node | string)[]
 * ) => SVGElementTagNameMap[Name]}
 */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

/** @type {<Kind extends Element>(element: Kind, attributes: Attributes, children: (Node | string)[]) => Kind} */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = String(value);
    else if (value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/**
 * The element of the page with this id; it must be there and be of this kind.
 * @type {<Kind extends HTMLElement = HTMLElement>(id: string, kind?: new () => Kind) => Kind}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  const wanted = kind ?? HTMLElement;
  if (!(found instanceof wanted)) throw new Error(`The page has no ${wanted.name} with the id ${id}.`);
  return /** @type {any} */ (found);
}

/**
 * The element of a part of the page that a selector finds first; it must be there and be of this kind.
 * @type {<Kind extends HTMLElement = HTMLElement>(part: ParentNode, selector: string, kind?: new () => Kind) => Kind}
 */
export function within(part, selector, kind) {
  const found = part.querySelector(selector);
  const wanted = kind ?? HTMLElement;
  if (!(found instanceof wanted)) throw new Error(`The page has no ${wanted.name} at ${selector}.`);
  return /** @type {any} */ (found);
}

/**
 * What to draw on a canvas with; options as for getContext.
 * @type {(canvas: HTMLCanvasElement, options?: CanvasRenderingContext2DSettings) => CanvasRenderingContext2D}
 */
export function drawingContext(canvas, options) {
  const context = canvas.getContext("2d", options);
  if (context === null) throw new Error("This browser cannot draw.");
  return context;
}

/**
 * 0.9873 → "98.7 %"; what is not quite 100 % or 0 % is never rounded to it.
 * @type {(share: number, digits?: number) => string}
 */
export function percent(share, digits = 1) {
  const nearest = 10 ** -digits;
  const text = (100 * share).toFixed(digits);
  if (Number(text) === 100 && share < 1) return `>${(100 - nearest).toFixed(digits)}\u202f%`;
  if (Number(text) === 0 && share > 0) return `<${nearest.toFixed(digits)}\u202f%`;
  return `${text}\u202f%`;
}

/** @type {(count: number) => string} */
export function thousands(count) {
  return count.toLocaleString("en");
}
