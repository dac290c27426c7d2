// The data of the page: see payload.py for what they are.

const data = JSON.parse(byId("data").textContent);

function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
}

const images = data.images;
for (const name of ["labels", "predictions", "topClasses", "topProbabilities"]) {
  images[name] = new Uint16Array(bytes(images[name]));
}
for (const name of ["confidence", "loss"]) {
  images[name] = new Float32Array(bytes(images[name]));
}

/** Draw image i of the sheet on a canvas, pixel by pixel. */
function drawImage(canvas, i) {
  const { width, height, columns } = images;
  canvas.width = width;
  canvas.height = height;
  const left = (i % columns) * width;
  const top = Math.floor(i / columns) * height;
  canvas.getContext("2d").drawImage(byId("sheet"), left, top, width, height, 0, 0, width, height);
}
