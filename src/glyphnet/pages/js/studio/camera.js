// @ts-check
// The camera: what it sees, and pictures of its middle for as long as a button is held.

import { drawingContext } from "../elements.js";
import { pngOfCanvas } from "../png.js";
import { useEffect, useRef, useState } from "../vendor/preact-hooks.js";
import { t } from "./strings.js";
import { html } from "./ui.js";

export const SIDE = 96; // pixels of a picture of the camera
const PAUSE = 125; // milliseconds between two pictures while recording

/** The middle of what a camera sees, as PNG. @type {(video: HTMLVideoElement) => Promise<Blob>} */
export function frameOf(video) {
  const { videoWidth, videoHeight } = video;
  const side = Math.min(videoWidth, videoHeight);
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: SIDE, height: SIDE });
  const context = drawingContext(canvas);
  context.imageSmoothingQuality = "high";
  context.drawImage(video, (videoWidth - side) / 2, (videoHeight - side) / 2, side, side, 0, 0, SIDE, SIDE);
  return pngOfCanvas(canvas);
}

/**
 * What the camera sees. `watch`, where given, is called with the video a few times a second.
 * @param {{ say: (sentence: string) => void, started?: (video: HTMLVideoElement | null) => void }} given
 */
export function CameraView({ say, started }) {
  const video = useRef(/** @type {HTMLVideoElement | null} */ (null));
  useEffect(() => {
    /** @type {MediaStream | null} */
    let stream = null;
    let open = true;
    const start = async () => {
      if (!navigator.mediaDevices) throw new Error(t("camera_none"));
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
      if (!open || video.current === null) return stream.getTracks().forEach((track) => track.stop());
      video.current.srcObject = stream;
      await video.current.play();
      started?.(video.current);
    };
    start().catch((error) => open && say(t("camera_failed", { why: error.message })));
    return () => {
      open = false;
      started?.(null);
      stream?.getTracks().forEach((track) => track.stop());
    };
  }, []);
  return html`
    <div class="camera">
      <video ref=${video} muted playsinline aria-label=${t("camera")}></video>
    </div>
  `;
}

/**
 * The camera with a button that records for as long as it is held.
 * @param {{ add: (pictures: Blob[]) => Promise<any>, say: (sentence: string) => void }} given
 */
export function Recorder({ add, say }) {
  const video = useRef(/** @type {HTMLVideoElement | null} */ (null));
  const held = useRef(false);
  const [ready, setReady] = useState(false);
  const [count, setCount] = useState(0);
  const record = async () => {
    if (held.current || video.current === null) return;
    held.current = true;
    setCount(0);
    /** @type {Blob[]} */
    let waiting = [];
    while (held.current && video.current !== null) {
      waiting.push(await frameOf(video.current));
      setCount((many) => many + 1);
      if (waiting.length >= 8) {
        await add(waiting);
        waiting = [];
      }
      await new Promise((resume) => setTimeout(resume, PAUSE));
    }
    if (waiting.length) await add(waiting);
  };
  const stop = () => (held.current = false);
  const isKey = (/** @type {KeyboardEvent} */ event) => event.key === " " || event.key === "Enter";
  return html`
    <${CameraView} say=${say} started=${(/** @type {HTMLVideoElement | null} */ each) => {
      video.current = each;
      setReady(each !== null);
    }} />
    <div class="tools"><button type="button" id="record" class="primary" disabled=${!ready}
          onPointerDown=${(/** @type {PointerEvent} */ event) => {
            /** @type {HTMLElement} */ (event.target).setPointerCapture(event.pointerId);
            record();
          }} onPointerUp=${stop} onPointerCancel=${stop} onBlur=${stop}
          onKeyDown=${(/** @type {KeyboardEvent} */ event) => isKey(event) && (event.preventDefault(), record())}
          onKeyUp=${(/** @type {KeyboardEvent} */ event) => isKey(event) && stop()}>● ${t("hold_to_record")}</button>
          <span class="hint" role="status">${count ? t("recorded", { n: count }) : ""}</span></div>
  `;
}
