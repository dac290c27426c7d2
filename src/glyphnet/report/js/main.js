// Everything starts when the sheets of images are decoded; what needs no image is there before.

function startCopy() {
  const button = byId("copy");
  if (!button || !navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(byId("command").textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(byId("command")); // copying is not allowed here: Ctrl-C does it
    }
  });
}

startTheme();
startCurves();
startReliability();
startCoverage();
startClasses();
startCopy();
startMatrix();
startViewer();
Promise.all([...document.querySelectorAll("img.sheet")].map((sheet) => sheet.decode())).then(() => {
  startGallery();
  startLabels();
  drawTiles();
  startEmbedding();
  document.documentElement.dataset.ready = "yes";
});
