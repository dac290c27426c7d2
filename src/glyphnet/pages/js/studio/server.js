// @ts-check
// The engine of `glyphnet studio`: the folder and the trainings behind the address that the page came from.

import { signal } from "../vendor/signals-core.js";
import { classesOf, isAside } from "./drops.js";
import { NOTHING } from "./engine.js";
import { isZip, pathsIn } from "./zip.js";
/** @import { Added, Compared, Download, Epoch, Given, Job, Mistake, Picture, Place, Predicted, State, Suggested, TrainSettings, Version } from "./engine.js" */

const AT_ONCE = 200; // files of a request
const TRAY = "unlabelled";

/** @type {(id: string) => string} */
function encoded(id) {
  return id.split("/").map(encodeURIComponent).join("/");
}

/** Whether a zip sorts its pictures into folders. @type {(blob: Blob) => Promise<boolean>} */
async function hasFolders(blob) {
  return classesOf((await pathsIn(blob)).filter((path) => !isAside(path))).some((each) => each !== null);
}

export class ServerEngine {
  /** @param {string} base the address of the page, which ends with a slash */
  constructor(base) {
    this.base = base;
    /** @type {"server"} */
    this.kind = "server";
    this.state = signal(/** @type {State} */ (NOTHING));
    this.epochs = signal(/** @type {{ [run: string]: Epoch[] }} */ ({}));
    this.changes = signal(0);
    this.lost = signal(false);
    this.formats = ["html", "onnx", "model", "pt2", "card"];
    this.presets = ["fast", "balanced", "best", "robust"];
    /** @type {string[]} */
    this.kinds = []; // the data say how pictures are taken
  }

  /**
   * Ask for an answer in JSON.
   * @param {string} path @param {RequestInit} [options] @returns {Promise<any>}
   */
  async ask(path, options) {
    let response;
    try {
      response = await fetch(`${this.base}api/${path}`, options);
    } catch {
      this.lost.value = true;
      throw new Error("The studio does not answer. Start it again with glyphnet studio.");
    }
    this.lost.value = false;
    const text = await response.text();
    let answer = null;
    try {
      answer = text ? JSON.parse(text) : null;
    } catch {
      // then the status says it
    }
    if (!response.ok) {
      const error = answer?.error ?? `The studio answered ${response.status} to ${path}.`;
      throw new Error(typeof error === "string" ? error : [error.message, error.remedy].filter(Boolean).join(" "));
    }
    return answer;
  }

  /** @param {string} path @param {object} [body] */
  post(path, body = {}) {
    return this.ask(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  /** Post a change of the pictures: what is answered is the new state. @param {string} path @param {object} [body] */
  async change(path, body) {
    this.take(await this.post(path, body));
  }

  /** @param {State | null} state */
  take(state) {
    if (state === null || !("classes" in state)) return;
    const before = this.state.value;
    this.state.value = { ...NOTHING, ...state };
    // The edition is raised by every change, also by hand: each is looked at once, in whichever answer it comes first.
    const pictures = (/** @type {State} */ { edition, version, changed }) =>
      JSON.stringify([edition, version, changed]);
    if (pictures(before) !== pictures(this.state.value)) this.changes.value++;
  }

  async start() {
    this.take(await this.ask("state"));
    const events = new EventSource(`${this.base}api/events`);
    const parsed = (/** @type {Event} */ event) => JSON.parse(/** @type {MessageEvent} */ (event).data);
    events.addEventListener("state", (event) => {
      this.lost.value = false;
      this.take(parsed(event));
    });
    events.addEventListener("job", (event) => {
      /** @type {Job} */
      const job = parsed(event);
      const { jobs } = this.state.value;
      const known = jobs.some(({ id }) => id === job.id);
      this.state.value = {
        ...this.state.value,
        jobs: known ? jobs.map((each) => (each.id === job.id ? job : each)) : [...jobs, job],
      };
    });
    events.addEventListener("epoch", (event) => this.heard(parsed(event)));
    events.onerror = () => {
      this.lost.value = events.readyState !== EventSource.OPEN;
    };
    events.onopen = () => {
      this.lost.value = false;
      for (const run of Object.keys(this.epochs.value)) this.loadEpochs(run, true).catch(() => {}); // what was missed
    };
  }

  /** @param {Epoch} epoch */
  heard(epoch) {
    const earlier = (this.epochs.value[epoch.run] ?? []).filter((each) => each.epoch < epoch.epoch);
    this.epochs.value = { ...this.epochs.value, [epoch.run]: [...earlier, epoch] };
  }

  /** @param {Job} job @returns {Job} */
  began(job) {
    const { jobs } = this.state.value;
    if (!jobs.some(({ id }) => id === job.id)) this.state.value = { ...this.state.value, jobs: [...jobs, job] };
    return job;
  }

  /** @param {Place} place @param {number} from @param {number} count @returns {Promise<{ total: number, pictures: Picture[] }>} */
  pictures(place, from, count) {
    const where = place === null ? "class=&tray=1" : `class=${encodeURIComponent(place)}`;
    return this.ask(`pictures?${where}&from=${from}&count=${count}`);
  }

  /** @param {string} id @returns {Promise<{ place: Place, picture: Picture | null }>} */
  async find(id) {
    const folder = id.split("/")[0];
    const place = folder === TRAY ? null : folder;
    if (place !== null && !this.state.value.classes.some(({ name }) => name === place)) return { place, picture: null };
    for (let from = 0, total = 1; from < total;) { // a server may give fewer than it is asked for
      const found = await this.pictures(place, from, 500);
      total = found.pictures.length ? found.total : 0;
      from += found.pictures.length;
      const picture = found.pictures.find((each) => each.id === id);
      if (picture) return { place, picture };
    }
    return { place, picture: null };
  }

  /** @param {string} id @param {string} [hash] */
  thumb(id, hash) {
    return `${this.base}api/thumb/${encoded(id)}${hash ? `?hash=${hash}` : ""}`;
  }

  /** @param {string} id @param {string} [hash] */
  file(id, hash) {
    return `${this.base}api/file/${encoded(id)}${hash ? `?hash=${hash}` : ""}`;
  }

  /** @param {string} name */
  addClass(name) {
    return this.change("classes", { name });
  }

  /** @param {string} name @param {string} to */
  renameClass(name, to) {
    return this.change("classes/rename", { name, to });
  }

  /** @param {string} name */
  deleteClass(name) {
    return this.change("classes/delete", { name });
  }

  /** The files whose classes there are, made where they are new. @param {Given[]} files @param {Added} made @returns {Promise<Given[]>} */
  async withClasses(files, made) {
    /** @type {Map<string, string>} */
    const faults = new Map();
    const wanted = new Set(files.map(({ folder }) => folder ?? TRAY));
    for (const name of wanted) {
      if (name === TRAY || this.state.value.classes.some((each) => each.name === name)) continue;
      await this.addClass(name).catch((error) => faults.set(name, error.message));
    }
    return files.filter(({ name, folder }) => {
      const reason = faults.get(folder ?? TRAY);
      if (reason !== undefined) made.refused.push({ name, reason });
      return reason === undefined;
    });
  }

  /** @param {Place} place @param {string | null} group @param {Given[]} files @returns {Promise<Added>} */
  async add(place, group, files) {
    /** @type {Map<string, Given[]>} */
    const parts = new Map(); // by what follows the question mark
    const where = (/** @type {Place} */ each) => each === null ? "tray=1" : `class=${encodeURIComponent(each)}`;
    /** @type {Added} */
    const made = { added: [], refused: [], same: [] };
    for (const file of await this.withClasses(files, made)) {
      let query = where(file.folder ? (file.folder === TRAY ? null : file.folder) : place);
      if (await isZip(file.blob)) query = await hasFolders(file.blob).catch(() => true) ? "" : where(place);
      parts.set(query, [...(parts.get(query) ?? []), file]);
    }
    for (const [query, some] of parts) {
      for (let first = 0; first < some.length; first += AT_ONCE) {
        const form = new FormData();
        for (const { name, blob } of some.slice(first, first + AT_ONCE)) {
          form.append("file", blob, name.split("/").at(-1));
        }
        const asked = [query, group === null ? "" : `group=${encodeURIComponent(group)}`].filter(Boolean).join("&");
        /** @type {Added} */
        const answer = await this.ask(`add?${asked}`, { method: "POST", body: form });
        for (const key of /** @type {const} */ (["added", "refused", "same"])) {
          /** @type {any[]} */ (made[key]).push(...(answer[key] ?? []));
        }
      }
    }
    this.take(await this.ask("state"));
    return made;
  }

  /** @param {string} name @param {number | null} perClass @param {boolean} tray @returns {Promise<Job>} */
  async known(name, perClass, tray) {
    return this.began(await this.post("known", { name, per_class: perClass, tray }));
  }

  /** @param {string[]} ids @param {Place} place */
  move(ids, place) {
    return this.change("move", { ids, class: place });
  }

  /** @param {string[]} ids */
  remove(ids) {
    return this.change("delete", { ids });
  }

  /** @param {string[]} ids @param {string | null} group */
  group(ids, group) {
    return this.change("group", { ids, group });
  }

  undo() {
    return this.change("undo");
  }

  redo() {
    return this.change("redo");
  }

  /** @param {number} count @returns {Promise<Suggested>} */
  suggest(count) {
    return this.ask(`suggest?count=${count}`);
  }

  /** @param {string} id @param {string | null} label */
  async decide(id, label) {
    await this.post("decide", { id, label });
  }

  /** @returns {Promise<Job>} */
  async checks() {
    return this.began(await this.ask("checks"));
  }

  /** @param {TrainSettings} settings @returns {Promise<Job>} */
  async train(settings) {
    return this.began(await this.post("train", settings));
  }

  /** @param {string} job */
  async cancel(job) {
    await this.post(`jobs/${encodeURIComponent(job)}/cancel`);
  }

  /** @param {string} run */
  async resume(run) {
    await this.post(`runs/${encodeURIComponent(run)}/resume`);
  }

  /** @param {string} run @param {boolean} [again] */
  async loadEpochs(run, again = false) {
    if (this.epochs.value[run] && !again) return;
    const found = await this.ask(`runs/${encodeURIComponent(run)}/epochs`);
    const all = Array.isArray(found) ? found : found.epochs;
    const later = (this.epochs.value[run] ?? []).filter(({ epoch }) => epoch > (all.at(-1)?.epoch ?? 0));
    this.epochs.value = { ...this.epochs.value, [run]: [...all, ...later] };
  }

  /** @param {string} run @returns {Promise<Mistake[]>} */
  async mistakes(run) {
    return (await this.ask(`runs/${encodeURIComponent(run)}/mistakes`)).mistakes;
  }

  /** @param {string} run */
  async removeRun(run) {
    await this.change(`runs/${encodeURIComponent(run)}/delete`);
  }

  /** @param {string} run */
  report(run) {
    return `${this.base}api/runs/${encodeURIComponent(run)}/report`;
  }

  /** @param {string} a @param {string} b @returns {Promise<Compared>} */
  compare(a, b) {
    return this.ask(`compare?a=${encodeURIComponent(a)}&b=${encodeURIComponent(b)}`);
  }

  /** @returns {Promise<Version[]>} */
  versions() {
    return this.ask("versions");
  }

  /** @param {string} run @param {Blob} picture @param {boolean} _look @returns {Promise<Predicted>} */
  predict(run, picture, _look) {
    return this.ask(`runs/${encodeURIComponent(run)}/predict`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: picture,
    });
  }

  /** @param {string} run @param {string} format @returns {Promise<Download>} */
  download(run, format) {
    const ending = /** @type {{ [format: string]: string }} */ ({
      html: "html",
      onnx: "onnx",
      model: "safetensors",
      pt2: "pt2",
      card: "md",
    })[
      format
    ];
    return Promise.resolve({
      name: `${run}.${ending}`,
      address: `${this.base}api/runs/${encodeURIComponent(run)}/export?format=${format}`,
    });
  }

  /** @returns {Promise<Download>} */
  zip() {
    return Promise.resolve({ name: "pictures.zip", address: `${this.base}api/zip` });
  }
}
