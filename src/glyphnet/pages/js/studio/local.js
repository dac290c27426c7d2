// @ts-check
// The page's own engine: pictures in the browser, trainings in workers. It needs no server and asks the network for nothing.

import { byId } from "../elements.js";
import { heldSamples } from "../playground/samples.js";
import { signal } from "../vendor/signals-core.js";
import { Alikes } from "./alike.js";
import { findings } from "./findings.js";
import { pngOf } from "./drawing.js";
import { NOTHING } from "./engine.js";
import { Helper } from "./helper.js";
import { Pictures, TRAY } from "./pictures.js";
import { Store } from "./store.js";
import { t } from "./strings.js";
import { cell } from "./table.js";
import { Runs } from "./runs.js";
import { writeZip } from "./zip.js";
/** @import { Held } from "../playground/samples.js" */
/** @import { Added, Epoch, Finding, Given, Job, Place, Predicted, State, Suggested, TrainSettings } from "./engine.js" */
/** @import { Kept } from "./store.js" */

const MOST_ADDRESSES = 800; // pictures that the browser keeps open

export class LocalEngine {
  constructor() {
    /** @type {"page"} */
    this.kind = "page";
    this.state = signal(/** @type {State} */ (NOTHING));
    this.epochs = signal(/** @type {{ [run: string]: Epoch[] }} */ ({}));
    this.changes = signal(0);
    this.lost = signal(false);
    this.formats = ["html", "model"];
    this.presets = ["fast", "balanced", "best", "robust"];
    this.kinds = ["ink", "photo"];
    /** @type {Job[]} */
    this.jobs = [];
    this.jobNumber = 0;
    /** @type {Map<string, string>} */
    this.addresses = new Map();
    /** @type {Set<string>} */
    this.cancelled = new Set();
  }

  async start() {
    this.store = await Store.open(`glyphnet-studio:${location.pathname}`);
    this.pictures_ = new Pictures(this.store, () => this.update());
    this.helper = new Helper();
    this.alikes = new Alikes(this.store, this.helper);
    /** @type {Held[]} */
    this.sets = JSON.parse(byId("sets").textContent ?? "[]");
    this.trainings = new Runs(this);
    await this.trainings.open();
    await this.pictures_.open();
    addEventListener("beforeunload", (event) => {
      if (this.jobs.some(({ status }) => status === "running")) event.preventDefault();
    });
  }

  /** What `start` made. @template Value @param {Value | undefined} value @returns {Value} */
  made(value) {
    if (value === undefined) {
      throw new Error("The browser gives this page no database. Allow it to store data, or use another browser.");
    }
    return value;
  }

  get own() {
    return this.made(this.pictures_);
  }

  get kept() {
    return this.made(this.store);
  }

  /** The state out of all parts. */
  update() {
    const { own } = this;
    const runs = this.made(this.trainings);
    this.changes.value++;
    this.state.value = {
      ...NOTHING,
      classes: own.counts,
      tray: own.at(null).length,
      undo: own.done.at(-1)?.title ?? null,
      redo: own.undone.at(-1)?.title ?? null,
      version: runs.version,
      changed: runs.changed,
      jobs: this.jobs.map((job) => ({ ...job })),
      runs: runs.shown,
      known: (this.sets ?? []).map(({ name, source, classes, train, test }) => ({
        name,
        title: `${name}: ${source}`.slice(0, 80),
        classes,
        counts: classes.map(() => Math.round((train + test) / classes.length)),
      })),
    };
  }

  /** The jobs alone: pictures are as they were. */
  updateJobs() {
    const runs = this.made(this.trainings);
    this.state.value = {
      ...this.state.value,
      version: runs.version,
      changed: runs.changed,
      jobs: this.jobs.map((job) => ({ ...job })),
      runs: runs.shown,
    };
  }

  /**
   * Long work that is seen while it goes on.
   * @param {Job["kind"]} kind @param {string} title @param {(job: Job) => Promise<any>} work @param {string | null} [run] @returns {Job}
   */
  job(kind, title, work, run = null) {
    /** @type {Job} */
    const job = {
      id: `job-${++this.jobNumber}`,
      kind,
      title,
      run,
      status: "running",
      done: 0,
      total: null,
      sentence: "",
      error: null,
      result: null,
    };
    this.jobs = [...this.jobs.filter((each) => each.status === "running" || each.kind !== kind), job];
    this.updateJobs();
    work(job).then((result) => {
      Object.assign(job, { status: this.cancelled.has(job.id) ? "stopped" : "done", result: result ?? null });
    }, (error) => {
      const isStop = this.cancelled.has(job.id);
      Object.assign(job, {
        status: isStop ? "stopped" : "failed",
        error: isStop ? null : String(error?.message ?? error),
      });
    }).finally(() => this.update());
    return job;
  }

  /** @param {Place} place @param {number} from @param {number} count */
  pictures(place, from, count) {
    const list = this.own.at(place);
    return Promise.resolve({ total: list.length, pictures: list.slice(from, from + count) });
  }

  /** @param {string} id */
  find(id) {
    const found = this.own.all.get(id);
    return Promise.resolve(
      found && !found.gone ? { place: found.place, picture: found } : { place: null, picture: null },
    );
  }

  /** @param {string} id */
  async file(id) {
    const known = this.addresses.get(id);
    if (known !== undefined) {
      this.addresses.delete(id); // the last used are the last to go
      this.addresses.set(id, known);
      return known;
    }
    const kept = this.own.all.get(id);
    const blob = await this.kept.get("blobs", id);
    if (!blob) return "";
    const address = URL.createObjectURL(new Blob([blob], { type: kept?.type ?? "" }));
    this.addresses.set(id, address);
    if (this.addresses.size > MOST_ADDRESSES) {
      const [oldest, its] = /** @type {[string, string]} */ (this.addresses.entries().next().value);
      this.addresses.delete(oldest);
      URL.revokeObjectURL(its);
    }
    return address;
  }

  /** @param {string} id */
  thumb(id) {
    return this.file(id);
  }

  /** @param {string} name */
  addClass(name) {
    return this.own.addClass(name, t("new_class"));
  }

  /** @param {string} name @param {string} to */
  renameClass(name, to) {
    return this.own.renameClass(name, to, t("rename"));
  }

  /** @param {string} name */
  deleteClass(name) {
    return this.own.deleteClass(name, t("delete_class"));
  }

  /** @param {Place} place @param {string | null} group @param {Given[]} files @returns {Promise<Added>} */
  add(place, group, files) {
    return this.own.add(place, group, files, (n) => t("added", { n }));
  }

  /** @param {string} name @param {number | null} perClass @param {boolean} tray */
  known(name, perClass, tray) {
    const set = (this.sets ?? []).find((each) => each.name === name);
    if (!set) throw new Error(`There is no known set ${name}.`);
    return Promise.resolve(this.job("known", set.name, async (job) => {
      const { shape, classes, train, test } = await heldSamples(set);
      const size = shape[0] * shape[1] * shape[2];
      const counts = classes.map(() => 0);
      /** @type {Given[]} */
      const files = [];
      for (const part of [train, test]) {
        for (let row = 0; row < part.labels.length; row++) {
          const label = part.labels[row];
          if (perClass !== null && counts[label] >= perClass) continue;
          counts[label]++;
          const blob = await pngOf(part.x.subarray(row * size, (row + 1) * size), shape);
          files.push({ name: `${set.name}-${row}.png`, blob, folder: tray ? TRAY : classes[label] });
          if (this.cancelled.has(job.id)) return null;
        }
      }
      return await this.add(null, null, files);
    }));
  }

  /** @param {string[]} ids @param {Place} place */
  move(ids, place) {
    return this.own.patch(t("move_to"), ids, { place });
  }

  /** @param {string[]} ids */
  remove(ids) {
    return this.own.patch(t("delete"), ids, { gone: true });
  }

  /** @param {string[]} ids @param {string | null} group */
  group(ids, group) {
    return this.own.patch(t("group"), ids, { group });
  }

  undo() {
    return this.own.undo();
  }

  redo() {
    return this.own.redo();
  }

  /** @param {number} count @returns {Promise<Suggested>} */
  suggest(count) {
    return this.made(this.trainings).suggest(count);
  }

  /** @param {string} id @param {string | null} label */
  decide(id, label) {
    if (label === null) {
      this.made(this.trainings).skipped.add(id);
      return Promise.resolve();
    }
    return this.own.patch(label, [id], { place: label });
  }

  checks() {
    return Promise.resolve(this.job("checks", t("step_check"), async (job) => {
      const { own } = this;
      /** @type {Kept[]} */
      const pictures = own.labelled;
      const alikes = this.made(this.alikes);
      const kind = await alikes.kindOf(pictures);
      job.total = pictures.length;
      const made = await alikes.of(kind, pictures, (done) => {
        job.done = done;
        this.updateJobs();
      });
      /** @type {Finding[]} */
      const found = await findings(
        pictures,
        made,
        own.counts,
        this.made(this.helper),
        await this.made(this.trainings).sureOf(kind, made),
      );
      return { findings: found };
    }));
  }

  /** @param {TrainSettings} settings */
  train(settings) {
    return Promise.resolve(this.made(this.trainings).train(settings));
  }

  /** @param {string} id */
  cancel(id) {
    this.cancelled.add(id);
    this.made(this.trainings).stop(id);
    return Promise.resolve();
  }

  /** @param {string} run */
  async resume(run) {
    await this.made(this.trainings).resume(run);
  }

  /** @param {string} run */
  loadEpochs(run) {
    return this.made(this.trainings).loadEpochs(run);
  }

  /** @param {string} run */
  mistakes(run) {
    return this.made(this.trainings).mistakes(run);
  }

  /** @param {string} run */
  report(run) {
    return this.made(this.trainings).report(run);
  }

  /** @param {string} run */
  removeRun(run) {
    return this.made(this.trainings).remove(run);
  }

  /** What was shown of a training that is deleted. @param {string} run */
  forget(run) {
    this.jobs = this.jobs.filter((job) => job.run !== run);
    this.epochs.value = Object.fromEntries(Object.entries(this.epochs.value).filter(([name]) => name !== run));
  }

  /** @param {string} a @param {string} b */
  compare(a, b) {
    return this.made(this.trainings).compare(a, b);
  }

  versions() {
    return Promise.resolve(this.made(this.trainings).versionList());
  }

  /** @param {string} run @param {Blob} picture @param {boolean} look @returns {Promise<Predicted>} */
  predict(run, picture, look) {
    return this.made(this.trainings).predict(run, picture, look);
  }

  /** @param {string} run @param {string} format */
  download(run, format) {
    return this.made(this.trainings).download(run, format);
  }

  /** All pictures as a zip that `glyphnet train` reads. */
  async zip() {
    const { own, kept } = this;
    const folder = (/** @type {Kept} */ { place, id }) => `${place ?? TRAY}/${id}`;
    const all = [...own.labelled, ...own.at(null)];
    const grouped = all.filter(({ group }) => group !== null);
    const table = ["file_name,group", ...grouped.map((each) => `${cell(folder(each))},${cell(each.group ?? "")}`)].join(
      "\n",
    );
    async function* entries() {
      if (grouped.length) yield { path: "metadata.csv", blob: new Blob([`${table}\n`]) };
      for (const each of all) yield { path: folder(each), blob: await kept.get("blobs", each.id) };
    }
    return { name: "pictures.zip", blob: await writeZip(entries()) };
  }
}
