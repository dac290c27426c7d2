// @ts-check
// What the page asks of an engine. There are two: server.js speaks with `glyphnet studio`, local.js computes in the page.

/** @import { Signal } from "../vendor/signals-core.js" */

/** width, height: in pixels. @typedef {{ id: string, hash: string, group: string | null, width: number, height: number }} Picture */
/** Where pictures are: in a class, or, for null, in the tray of those without a label. @typedef {string | null} Place */
/** @typedef {{ name: string, count: number }} ClassCount */
/** A set that is at hand; counts: pictures of each class, where that is known before it is read. @typedef {{ name: string, title: string, classes: string[], counts: number[] | null }} KnownSet */
/**
 * Long work. done, total: in whatever `sentence` counts; total is null where it is not known.
 * @typedef {{
 *   id: string, kind: "train" | "checks" | "known" | "suggest" | "export", title: string, run: string | null,
 *   status: "running" | "done" | "failed" | "stopped", done: number, total: number | null, sentence: string,
 *   error: string | null, result: any,
 * }} Job
 */
/** A 95 % interval, and of how many pictures. @typedef {{ value: number, low: number, high: number, n: number }} Accuracy */
/**
 * One training. seconds: how long it took; report, model: whether there is one; limit, kind: what the page's own engine was
 * asked for, seconds and of which kind the pictures are.
 * @typedef {{
 *   name: string, preset: string, status: "running" | "stopped" | "done" | "failed", version: string,
 *   accuracy: Accuracy | null, finished: string | null, seconds: number | null, report: boolean, model?: boolean,
 *   error?: string | null, limit?: number | null, kind?: string | null,
 * }} Run
 */
/** @typedef {{ id: string, label: string, answer: string, probability: number }} Mistake */
/**
 * How a training stood after an epoch. filters: of the first convolution, as a picture; classes: of the confusion matrix, where not
 * those of the state.
 * @typedef {{
 *   run: string, epoch: number, epochs: number | null, loss: number | null, accuracy: number | null,
 *   val_loss: number | null, val_accuracy: number | null, images_per_second: number | null, seconds_left: number | null,
 *   confusion: number[][] | null, mistakes: Mistake[], filters: { shape: number[], png: string } | null,
 *   classes?: string[],
 * }} Epoch
 */
/**
 * Everything that is shown of the pictures and the work. undo, redo: what the next one takes back, in words; changed:
 * whether pictures changed since the version; edition: a number that each change raises, where a server counts them.
 * @typedef {{
 *   folder: string, classes: ClassCount[], tray: number, undo: string | null, redo: string | null,
 *   version: { hash: string, name: string } | null, changed: boolean, jobs: Job[], runs: Run[], known: KnownSet[],
 *   camera: boolean, edition?: number,
 * }} State
 */
/** What became of files. @typedef {{ added: string[], refused: { name: string, reason: string }[], same: { name: string, as: string }[] }} Added */
/** A file; folder: that of its class, where it comes out of one. @typedef {{ name: string, blob: Blob, folder?: string | null }} Given */
/**
 * reason: a sentence of why this one; label: null where no model suggests one.
 * @typedef {{ id: string, label: string | null, probability: number | null, margin: number | null, reason: string }} Suggestion
 */
/**
 * random: how many labels random choice would have needed for an equal model; retrain: whether it is worth to train again.
 * @typedef {{ suggestions: Suggestion[], model: string | null, random: { labels: number, equal: number } | null, retrain?: boolean }} Suggested
 */
/**
 * suggested: of each picture, the class that it seems to have; pairs: what is alike.
 * @typedef {{ code: string, sentence: string, numbers: any, ids: string[], suggested?: (string | null)[] | null, pairs?: [string, string][] | null }} Finding
 */
/**
 * reason: why it is none of the classes, or null. saliency, seen: pictures.
 * @typedef {{
 *   answers: { label: string, probability: number }[], reason: string | null, set: string[], saliency: string | null,
 *   seen: string | null,
 * }} Predicted
 */
/** @typedef {{ hash: string, name: string, made: string, count: number, added: number, removed: number, moved: number, runs: { name: string, accuracy: Accuracy | number | null }[] }} Version */
/** @typedef {{ a: string, b: string, n: number, only_a: number, only_b: number, p: number, sentence: string }} Compared */
/** kind: "ink" or "photo"; without, the engine finds out. @typedef {{ name?: string, preset: string, seconds?: number, epochs?: number, kind?: string }} TrainSettings */
/** What can be downloaded: a file's content and name, or an address of it. @typedef {{ name: string, blob?: Blob, address?: string }} Download */

/**
 * Both engines. All that changes pictures resolves once it is safe, and `state` has changed then or soon after. `changes`
 * counts changes of the pictures. Whatever fails, fails with a sentence.
 * @typedef {{
 *   kind: "server" | "page",
 *   state: Signal<State>, epochs: Signal<{ [run: string]: Epoch[] }>, changes: Signal<number>, lost: Signal<boolean>,
 *   formats: string[], presets: string[], kinds: string[],
 *   start: () => Promise<void>,
 *   pictures: (place: Place, from: number, count: number) => Promise<{ total: number, pictures: Picture[] }>,
 *   find: (id: string) => Promise<{ place: Place, picture: Picture | null }>,
 *   thumb: (id: string, hash?: string) => string | Promise<string>,
 *   file: (id: string, hash?: string) => string | Promise<string>,
 *   addClass: (name: string) => Promise<void>, renameClass: (name: string, to: string) => Promise<void>,
 *   deleteClass: (name: string) => Promise<void>,
 *   add: (place: Place, group: string | null, files: Given[]) => Promise<Added>,
 *   known: (name: string, perClass: number | null, tray: boolean) => Promise<Job>,
 *   move: (ids: string[], place: Place) => Promise<void>, remove: (ids: string[]) => Promise<void>,
 *   group: (ids: string[], group: string | null) => Promise<void>, undo: () => Promise<void>, redo: () => Promise<void>,
 *   suggest: (count: number) => Promise<Suggested>, decide: (id: string, label: string | null) => Promise<void>,
 *   checks: () => Promise<Job>, train: (settings: TrainSettings) => Promise<Job>, cancel: (job: string) => Promise<void>,
 *   resume: (run: string) => Promise<void>, loadEpochs: (run: string) => Promise<void>,
 *   mistakes: (run: string) => Promise<Mistake[]>, report: (run: string) => string | Promise<string>, removeRun: (run: string) => Promise<void>,
 *   compare: (a: string, b: string) => Promise<Compared>, versions: () => Promise<Version[]>,
 *   predict: (run: string, picture: Blob, look: boolean) => Promise<Predicted>,
 *   download: (run: string, format: string) => Promise<Download>, zip: () => Promise<Download>,
 * }} Engine
 */

/** @type {State} */
export const NOTHING = {
  folder: "",
  classes: [],
  tray: 0,
  undo: null,
  redo: null,
  version: null,
  changed: false,
  jobs: [],
  runs: [],
  known: [],
  camera: true,
};

const RESERVED = [
  "unlabelled",
  "metadata.csv",
  "labels.csv",
  "versions",
  "runs",
  "train",
  "training",
  "test",
  "testing",
  "val",
  "valid",
  "validation",
];

/**
 * What is wrong with the name of a class, as the key of a sentence; null for a good one.
 * @type {(name: string, classes: ClassCount[]) => string | null}
 */
export function faultOfName(name, classes) {
  // deno-lint-ignore no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f/\\]/.test(name) || name !== name.trim() || !name.isWellFormed()) {
    return "name_characters";
  }
  if (!name) return "name_empty";
  if (new TextEncoder().encode(name).length > 255) return "name_long";
  if (name.startsWith(".") || RESERVED.includes(name.toLowerCase())) return "name_reserved";
  return classes.some((each) => each.name === name) ? "name_taken" : null;
}
