// The images of a cell, of a class, the worst, the least sure. What is shown is in the page's address (#true=4&predicted=9),
// so that every link of the page, the matrix and the browser's Back go the same way.

const AT_ONCE = matchMedia("(max-width: 36rem)").matches ? 12 : 30;
const SHOWS = { worst: { only: "wrong", order: "worst" }, unsure: { only: "all", order: "unsure" } };
const ORDERS = {
  surest: (a, b) => images.confidence[b] - images.confidence[a] || a - b,
  unsure: (a, b) => images.confidence[a] - images.confidence[b] || a - b,
  worst: (a, b) => images.loss[b] - images.loss[a] || a - b,
};
const ONLY = { all: () => true, wrong: (label, guess) => label !== guess, right: (label, guess) => label === guess };

let wanted = {};
let found = [];

/** What the address asks for, or null if it asks for no images: {true, predicted, only, order}. */
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!["show", "true", "predicted", "only", "order"].some((key) => given.has(key))) return null;
  const classOf = (key) => (given.has(key) && Number(given.get(key)) in data.classes ? Number(given.get(key)) : null);
  const preset = SHOWS[given.get("show")] ?? {};
  const oneOf = (table, key, other) => (given.get(key) in table ? given.get(key) : (preset[key] ?? other));
  return {
    true: classOf("true"),
    predicted: classOf("predicted"),
    only: oneOf(ONLY, "only", "all"),
    order: oneOf(ORDERS, "order", "surest"),
  };
}

function writeAddress(state) {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) if (value !== null) given.set(key, value);
  location.hash = given.toString();
}

function select({ true: label, predicted, only, order }) {
  const list = [];
  for (let i = 0; i < images.count; i++) {
    if (label !== null && images.labels[i] !== label) continue;
    if (predicted !== null && images.predictions[i] !== predicted) continue;
    if (ONLY[only](images.labels[i], images.predictions[i])) list.push(i);
  }
  return list.sort(ORDERS[order]);
}

/** How many images there are of this kind in all, in this page or not: the matrix knows. */
function countAll({ true: label, predicted, only }) {
  let count = 0;
  data.matrix.forEach((row, r) =>
    row.forEach((cell, c) => {
      if ((label === null || r === label) && (predicted === null || c === predicted) && ONLY[only](r, c)) count += cell;
    }),
  );
  return count;
}

function titleOf({ true: label, predicted, only, order }, shown, all) {
  const name = (k) => `“${data.classes[k]}”`;
  let text = "";
  if (label !== null && label === predicted) text = `${name(label)} named rightly`;
  else if (label !== null && predicted !== null) text = `${name(label)} taken for ${name(predicted)}`;
  else if (label !== null) text = only === "wrong" ? `Mistakes on ${name(label)}` : `All ${name(label)}`;
  else if (predicted !== null) text = only === "wrong" ? `Wrongly taken for ${name(predicted)}` : `Named ${name(predicted)}`;
  else if (only === "wrong") text = order === "worst" ? "Worst mistakes" : "Mistakes";
  else text = order === "unsure" ? "Least sure" : "Images";
  const count = shown < all ? `${thousands(shown)} of ${thousands(all)}` : thousands(all);
  return `${text} · ${count} ${all === 1 ? "image" : "images"}`;
}

/** "4 → 9" in one line, long names in two. */
function namesOf(label, guess) {
  const [truth, taken] = [data.classes[label], data.classes[guess]];
  if (label === guess) return [html("span", { text: truth })];
  const lines = truth.length + taken.length > 6 ? [truth, `→ ${taken}`] : [`${truth} → ${taken}`];
  return lines.map((text) => html("span", { class: "wrong", text }));
}

function tile(i, at) {
  const [label, guess] = [images.labels[i], images.predictions[i]];
  const canvas = html("canvas", { "aria-hidden": "true" });
  drawImage(canvas, i);
  const told = [
    `true ${data.classes[label]}`,
    `predicted ${data.classes[guess]}`,
    percent(images.confidence[i]),
    images.names[i],
  ].join(", ");
  const button = html(
    "button",
    { type: "button", class: "tile", "aria-label": told, title: told, "data-name": images.names[i] },
    canvas,
    ...namesOf(label, guess),
    html("span", { text: percent(images.confidence[i]) }),
    html("span", { class: "sure end" }, html("bdi", { text: images.names[i] })),
  );
  button.addEventListener("click", () => openViewer(found, at));
  return html("li", {}, button);
}

function showMore() {
  const tiles = byId("tiles");
  const from = tiles.children.length;
  tiles.append(...found.slice(from, from + AT_ONCE).map((i, k) => tile(i, from + k)));
  const left = found.length - tiles.children.length;
  byId("more").hidden = left === 0;
  byId("more").textContent = `Show ${thousands(Math.min(left, AT_ONCE))} more of ${thousands(left)}`;
  return from;
}

function showGallery(state) {
  wanted = state;
  found = select(state);
  byId("gallery-title").textContent = titleOf(state, found.length, countAll(state));
  byId("nothing").hidden = found.length > 0;
  byId("tiles").replaceChildren();
  showMore();
  for (const key of ["true", "predicted", "only", "order"]) byId("filters").elements[key].value = state[key] ?? "";
  markCell(state);
}

/** After a choice elsewhere on the page: bring the gallery into sight if it is not. */
function revealGallery() {
  const box = byId("gallery").getBoundingClientRect();
  if (box.top > window.innerHeight - 160 || box.top < 0) byId("gallery").scrollIntoView({ block: "start" });
}

function startGallery() {
  const filters = byId("filters").elements;
  for (const key of ["true", "predicted"]) {
    filters[key].append(html("option", { value: "", text: "any" }));
    data.classes.forEach((name, k) => filters[key].append(html("option", { value: k, text: name })));
  }
  byId("filters").addEventListener("change", () => {
    const classOf = (key) => (filters[key].value === "" ? null : Number(filters[key].value));
    writeAddress({ true: classOf("true"), predicted: classOf("predicted"), only: filters.only.value, order: filters.order.value });
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("more").addEventListener("click", () => {
    const from = showMore();
    byId("tiles").children[from].firstChild.focus(); // the button that was pressed may be gone
  });
  window.addEventListener("hashchange", () => {
    const state = readAddress();
    if (!state) return;
    showGallery(state);
    revealGallery();
  });
  const anyWrong = data.matrix.some((row, r) => row.some((count, c) => r !== c && count));
  const first = readAddress();
  showGallery(first ?? { true: null, predicted: null, ...SHOWS[anyWrong ? "worst" : "unsure"] });
  if (first) revealGallery();
}
