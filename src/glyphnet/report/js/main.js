// Everything starts when the sheet of images is decoded; what needs no image is there before.

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
startClasses();
startCopy();
startMatrix();
startViewer();
byId("sheet")
  .decode()
  .then(() => {
    startGallery();
    document.documentElement.dataset.ready = "yes";
  });
