// Making elements. Text is always set as text: a class named "<img onerror=…>" stays what it is.

/** An HTML element: attributes by name, "class" and "text" included, then children. */
export function html(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

/** 0.9873 → "98.7 %"; what is not quite 100 % or 0 % is never rounded to it. */
export function percent(share, digits = 1) {
  const nearest = 10 ** -digits;
  const text = (100 * share).toFixed(digits);
  if (Number(text) === 100 && share < 1) return `>${(100 - nearest).toFixed(digits)}\u202f%`;
  if (Number(text) === 0 && share > 0) return `<${nearest.toFixed(digits)}\u202f%`;
  return `${text}\u202f%`;
}

export function thousands(count) {
  return count.toLocaleString("en");
}
