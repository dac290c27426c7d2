// @ts-check
// What is on a canvas, as a file.

/**
 * What is on a canvas, as PNG. Not by toBlob: browsers put that off until they have nothing else to do, for a second and more.
 * @type {(canvas: HTMLCanvasElement) => Promise<Blob>}
 */
export function pngOfCanvas(canvas) {
  const characters = atob(canvas.toDataURL("image/png").split(",")[1]);
  const bytes = Uint8Array.from(characters, (character) => character.charCodeAt(0));
  return Promise.resolve(new Blob([bytes], { type: "image/png" }));
}
