// @ts-check
// The trainings of the page's own engine: started, watched, stopped, resumed, compared; the models that they leave.

import { percent } from "../elements.js";
import { sha256 } from "../engine/sha256.js";
import { answerTo } from "../foreign.js";
import { normalizePicture } from "../ink.js";
import { argmax } from "../network.js";
import { occlusion } from "../saliency.js";
import { decodeModel } from "../weights.js";
import { SPECS } from "./alike.js";
import { pairedTest, wilson } from "./figures.js";
import { exportedPage, pageModel, readSkeleton, sealedModel } from "./give.js";
import { Helper } from "./helper.js";
import { dataAddress, filterPicture, pictured, pixelsOf } from "./pixels.js";
import { heldOut } from "./recipe.js";
import { reportPage } from "./report.js";
import { language, number, t } from "./strings.js";
/** @import { Model } from "../weights.js" */
/** @import { Compared, Download, Epoch, Job, Mistake, Predicted, Run, Suggested, TrainSettings, Version } from "./engine.js" */
/** @import { TrainedModel } from "./give.js" */
/** @import { TrainedMessage } from "./learner.js" */
/** @import { LocalEngine } from "./local.js" */
/** @import { EpochMessage, Task } from "./session.js" */
/** @import { Kept } from "./store.js" */

const MOST_MISTAKES = 100;
const SURE = 0.9; // how probable another class is where a label is suspicious
const PAUSE = 4_000; // milliseconds between two models that are kept of a training that goes on

/** A version of the pictures: hash and class of each, by id. @typedef {{ hash: string, name: string, made: string, members: { [id: string]: [hash: string, place: string] } }} Snapshot */

export class Runs {
  /** @param {LocalEngine} engine */
  constructor(engine) {
    this.engine = engine;
    /** @type {Run[]} */
    this.list = [];
    /** @type {Snapshot[]} */
    this.snapshots = [];
    /** @type {Map<string, { helper: Helper, job: string }>} */
    this.working = new Map();
    /** @type {Map<string, TrainedModel>} */
    this.models = new Map();
    /** @type {Map<string, { images: number, model: Model }>} */
    this.readers = new Map();
    /** @type {Map<string, { images: number, language: string, address: string }>} */
    this.reports = new Map();
    /** @type {Set<string>} */
    this.skipped = new Set();
    /** @type {{ run: string, images: number, sure: Map<string, number[]> }} */
    this.asked = { run: "", images: 0, sure: new Map() };
  }

  async open() {
    const store = this.engine.kept;
    this.list = (await store.get("values", "runs")) ?? [];
    this.snapshots = (await store.get("values", "versions")) ?? [];
    for (const run of this.list) if (run.status === "running") run.status = "stopped"; // the page was closed
  }

  /** Write the list of runs, and more. @param {{ store: string, key: string, value: any }[]} more */
  save(...more) {
    return this.engine.kept.write([{ store: "values", key: "runs", value: this.list }, ...more]);
  }

  /** The runs as the page shows them. @returns {Run[]} */
  get shown() {
    return this.list.map((run) => ({ ...run, report: run.accuracy !== null }));
  }

  get version() {
    const last = this.snapshots.at(-1);
    return last ? { hash: last.hash, name: last.name } : null;
  }

  /** Whether labelled pictures have changed since the last version. */
  get changed() {
    const last = this.snapshots.at(-1);
    if (!last) return false;
    const now = this.engine.own.labelled;
    return now.length !== Object.keys(last.members).length ||
      now.some(({ id, hash, place }) => last.members[id]?.[0] !== hash || last.members[id][1] !== place);
  }

  /** The version of the pictures as they are now, made where there is none yet. @returns {Promise<Snapshot>} */
  async snapshot() {
    const now = this.engine.own.labelled;
    const lines = now.map(({ hash, place }) => `${hash}  ${place}`).sort().join("\n");
    const hash = sha256(new TextEncoder().encode(lines));
    const known = this.snapshots.find((each) => each.hash === hash);
    if (known) return known;
    const members = Object.fromEntries(
      now.map(({ id, hash, place }) => [id, /** @type {[string, string]} */ ([hash, place ?? ""])]),
    );
    const made = { hash, name: `v${this.snapshots.length + 1}`, made: new Date().toISOString(), members };
    this.snapshots.push(made);
    await this.engine.kept.write([{ store: "values", key: "versions", value: this.snapshots }]);
    return made;
  }

  freeName() {
    let number = this.list.length + 1;
    while (this.list.some(({ name }) => name === `run-${number}`)) number++;
    return `run-${number}`;
  }

  /** @param {TrainSettings} settings @returns {Job} */
  train({ name, preset, seconds, kind }) {
    /** @type {Run} */
    const run = {
      name: name ?? this.freeName(),
      preset,
      status: "running",
      version: "",
      accuracy: null,
      finished: null,
      seconds: null,
      report: false,
      limit: seconds ?? null,
      kind: kind ?? null,
    };
    this.list.push(run);
    return this.engine.job("train", run.name, (job) => this.work(run, job, null), run.name);
  }

  /** @param {string} name */
  async resume(name) {
    const run = this.list.find((each) => each.name === name);
    if (!run || run.status === "running") return;
    const model = await this.model(name).catch(() => null); // one that was stopped early begins again
    run.status = "running";
    this.engine.job("train", name, (job) => this.work(run, job, model), name);
  }

  /** Delete a training and its model for good. @param {string} name */
  async remove(name) {
    const run = this.list.find((each) => each.name === name);
    if (!run) return;
    if (run.status === "running") throw new Error(t("stop_first", { name }));
    this.list = this.list.filter((each) => each !== run);
    for (const kept of [this.models, this.readers, this.reports]) kept.delete(name);
    this.engine.forget(name);
    await this.save(...["model", "state", "epochs"].map((what) => ({
      store: "values",
      key: `${what}:${name}`,
      value: undefined,
    })));
    this.engine.updateJobs();
  }

  /** Train. @param {Run} run @param {Job} job @param {TrainedModel | null} before */
  async work(run, job, before) {
    const began = performance.now();
    const earlier = run.seconds ?? 0;
    try {
      await this.save();
      const prepared = await this.prepared(run, job, before);
      const stopped = await this.learned(run, job, prepared);
      run.status = stopped ? "stopped" : "done";
      run.finished = new Date().toISOString();
    } catch (error) {
      run.status = this.engine.cancelled.has(job.id) ? "stopped" : "failed";
      throw error;
    } finally {
      run.seconds = earlier + (performance.now() - began) / 1000;
      this.working.get(run.name)?.helper.end();
      this.working.delete(run.name);
      await this.save({ store: "values", key: `epochs:${run.name}`, value: this.engine.epochs.value[run.name] ?? [] });
    }
  }

  /** The pictures of a training, made alike. @param {Run} run @param {Job} job @param {TrainedModel | null} before */
  async prepared(run, job, before) {
    const { engine } = this;
    const pictures = engine.own.labelled;
    const { hash } = await this.snapshot();
    if (before && run.version !== hash) throw new Error(t("pictures_changed"));
    run.version = hash;
    const alikes = engine.made(engine.alikes);
    const kind = before?.kind ?? run.kind ?? await alikes.kindOf(pictures);
    job.total = pictures.length;
    const made = await alikes.of(kind, pictures, (done) => {
      Object.assign(job, { done, sentence: t("preparing") });
      engine.updateJobs();
    });
    if (engine.cancelled.has(job.id)) throw new Error("stopped");
    const rows = [...pictures.keys()].filter((row) => made[row] !== null && (kind === "photo" || made[row]?.drawn));
    const classes = engine.own.classes.filter((name) => rows.some((row) => pictures[row].place === name));
    if (classes.length < 2) throw new Error(t("train_needs"));
    if (classes.length > 250) throw new Error(`${classes.length} classes are too many for this page: 250 at most.`);
    if (before && before.classes.join("\u0000") !== classes.join("\u0000")) throw new Error(t("classes_changed"));
    const left = pictures.length - rows.length;
    const said = [t(`kind_${kind}`), left ? t("left_out", { n: left }) : ""].filter(Boolean).join(" ");
    const own = rows.map((row) => ({ row, picture: pictures[row], label: classes.indexOf(pictures[row].place ?? "") }));
    const held = heldOut(own.map(({ picture: { hash, group }, label }) => ({ hash, group, label })), classes.length);
    const shape = SPECS[kind].image_shape;
    const size = shape[0] * shape[1] * shape[2];
    const part = (/** @type {typeof own} */ some) => {
      const x = new Uint8Array(some.length * size);
      some.forEach(({ row }, place) => x.set(made[row]?.pixels ?? [], place * size));
      return { x, labels: Uint8Array.from(some, ({ label }) => label) };
    };
    const test = own.filter((_, place) => held[place]);
    /** @type {Task} */
    const task = {
      kind,
      shape,
      classes: classes.length,
      preset: run.preset,
      seconds: run.limit ?? null,
      seed: 1,
      layers: before?.layers ?? null,
      state: before && ((await engine.kept.get("values", `state:${run.name}`)) ?? null),
      given: test.map(({ row }) => made[row]?.given ?? null),
      train: part(own.filter((_, place) => !held[place])),
      test: part(test),
    };
    return { task, classes, test: test.map(({ picture }) => picture), said, pictures: rows.length };
  }

  /** Let a worker train; resolves to whether it was stopped. @param {Run} run @param {Job} job @param {Awaited<ReturnType<Runs["prepared"]>>} prepared @returns {Promise<boolean>} */
  learned(run, job, { task, classes, test, said, pictures }) {
    let kept = performance.now();
    /** @type {EpochMessage | null} */
    let last = null;
    const model = (/** @type {EpochMessage} */ message, /** @type {TrainedMessage["limits"] | null} */ limits) => {
      /** @type {TrainedModel} */
      const made = {
        run: run.name,
        kind: task.kind,
        spec: SPECS[task.kind],
        shape: task.shape,
        classes,
        layers: message.layers,
        bank: limits?.bank ?? null,
        threshold: limits?.threshold ?? null,
        images: message.state.images,
        made: new Date().toISOString(),
        pictures,
        preset: run.preset,
        judged: {
          ids: test.map(({ id }) => id),
          labels: [...task.test.labels],
          answers: message.answers,
          sure: message.sure,
        },
      };
      this.models.set(run.name, made);
      return [
        { store: "values", key: `model:${run.name}`, value: made },
        { store: "values", key: `state:${run.name}`, value: message.state },
      ];
    };
    return new Promise((resolve, reject) => {
      const helper = new Helper((message) => {
        if (message.type === "trouble") reject(new Error(message.text));
        if (message.type === "epoch") {
          last = message;
          this.heard(run, job, message, test, classes, said);
          if (performance.now() - kept < PAUSE) return;
          kept = performance.now();
          this.save(...model(message, null)).catch(reject);
        }
        if (message.type === "trained") {
          if (last === null) return resolve(true);
          const { layers, limits, state, stopped } = message;
          this.save(...model({ ...last, layers, state }, limits)).then(() => resolve(stopped), reject);
        }
      });
      this.working.set(run.name, { helper, job: job.id });
      helper.tell({ type: "train", task });
    });
  }

  /** Show an epoch. @param {Run} run @param {Job} job @param {EpochMessage} message @param {Kept[]} test @param {string[]} classes @param {string} said */
  heard(run, job, message, test, classes, said) {
    const { engine } = this;
    const mistakes = message.answers.flatMap((answer, row) => {
      const label = test[row].place ?? "";
      return classes[answer] === label
        ? []
        : [{ id: test[row].id, label, answer: classes[answer], probability: message.sure[row] }];
    });
    const [kernel, outputs] = [message.layers[0].kernel, message.layers[0].outputs];
    const shape = /** @type {[number, number, number, number]} */ ([
      outputs,
      kernel,
      kernel,
      message.filters.length / outputs / kernel / kernel,
    ]);
    /** @type {Epoch} */
    const epoch = {
      run: run.name,
      epoch: message.epoch,
      epochs: message.epochs,
      loss: message.loss,
      accuracy: message.accuracy,
      val_loss: message.valLoss,
      val_accuracy: message.valAccuracy,
      images_per_second: message.speed,
      seconds_left: message.left,
      confusion: message.confusion,
      mistakes: mistakes.sort((a, b) => b.probability - a.probability).slice(0, MOST_MISTAKES),
      classes,
      filters: { shape, png: filterPicture(message.filters, shape) },
    };
    const earlier = engine.epochs.value[run.name] ?? [];
    engine.epochs.value = {
      ...engine.epochs.value,
      [run.name]: [...earlier.map((each) => ({ ...each, filters: null })), epoch],
    };
    const n = message.answers.length;
    const right = n - mistakes.length;
    if (n) {
      const [low, high] = wilson(right, n);
      run.accuracy = { value: right / n, low, high, n };
    }
    Object.assign(job, { done: Math.round(100 * message.share), total: 100, sentence: said });
    engine.updateJobs();
  }

  /** Stop a training by its job. @param {string} job */
  stop(job) {
    for (const each of this.working.values()) if (each.job === job) each.helper.tell({ type: "stop" });
  }

  /** @param {string} run */
  async loadEpochs(run) {
    if (this.engine.epochs.value[run]) return;
    const epochs = (await this.engine.kept.get("values", `epochs:${run}`)) ?? [];
    this.engine.epochs.value = { ...this.engine.epochs.value, [run]: epochs };
  }

  /** @param {string} run @returns {Promise<TrainedModel>} */
  async model(run) {
    const made = this.models.get(run) ?? await this.engine.kept.get("values", `model:${run}`);
    if (!made) throw new Error(t("no_model", { name: run }));
    this.models.set(run, made);
    return made;
  }

  /** What answers, as in an exported page. @param {string} run @returns {Promise<Model>} */
  async reader(run) {
    const trained = await this.model(run);
    const known = this.readers.get(run);
    if (known?.images === trained.images) return known.model;
    const { description, weights } = pageModel(trained, readSkeleton().reasons);
    const model = decodeModel(description, weights);
    this.readers.set(run, { images: trained.images, model });
    return model;
  }

  /** The pictures of a run that were answered wrong and lie where they lay then. @param {string} run @returns {Promise<Mistake[]>} */
  async mistakes(run) {
    const { judged: { ids, labels, answers, sure }, classes } = await this.model(run);
    return ids.flatMap((id, row) => {
      const own = this.engine.own.all.get(id);
      if (answers[row] === labels[row] || !own || own.gone || own.place !== classes[labels[row]]) return [];
      return [{ id, label: classes[labels[row]], answer: classes[answers[row]], probability: sure[row] }];
    });
  }

  /** The address of a page on a run. @param {string} name @returns {Promise<string>} */
  async report(name) {
    const model = await this.model(name);
    const known = this.reports.get(name);
    if (known?.images === model.images && known.language === language.value) return known.address;
    if (known) URL.revokeObjectURL(known.address);
    /** @type {(id: string) => Promise<string | null>} */
    const shown = async (id) => {
      const blob = this.engine.own.all.get(id)?.gone === false ? await this.engine.kept.get("blobs", id) : null;
      return blob ? await dataAddress(new Blob([blob], { type: this.engine.own.all.get(id)?.type })) : null;
    };
    const page = await reportPage(model, shown);
    const address = URL.createObjectURL(new Blob([page], { type: "text/html" }));
    this.reports.set(name, { images: model.images, language: language.value, address });
    return address;
  }

  /** @param {string} a @param {string} b @returns {Promise<Compared>} */
  async compare(a, b) {
    const [one, other] = [await this.model(a), await this.model(b)];
    const right = ({ judged: { ids, labels, answers } } = one) =>
      new Map(ids.map((id, row) => [id, answers[row] === labels[row]]));
    const [first, second] = [right(one), right(other)];
    const both = [...first.keys()].filter((id) => second.has(id));
    const only_a = both.filter((id) => first.get(id) && !second.get(id)).length;
    const only_b = both.filter((id) => !first.get(id) && second.get(id)).length;
    const p = pairedTest(only_a, only_b);
    const words = {
      a,
      b,
      only_a,
      only_b,
      n: both.length,
      better: only_a > only_b ? a : b,
      p: p < 0.001 ? "<0.001" : p.toFixed(3),
    };
    return { a, b, n: both.length, only_a, only_b, p, sentence: t(p < 0.05 ? "paired_better" : "paired_even", words) };
  }

  /** @returns {Version[]} */
  versionList() {
    return this.snapshots.map(({ hash, name, made, members }, place) => {
      const before = place ? this.snapshots[place - 1].members : {};
      const ids = Object.keys(members);
      return {
        hash,
        name,
        made,
        count: ids.length,
        added: ids.filter((id) => !(id in before)).length,
        removed: Object.keys(before).filter((id) => !(id in members)).length,
        moved: ids.filter((id) => id in before && before[id][1] !== members[id][1]).length,
        runs: this.list.filter((run) => run.version === hash).map((run) => ({
          name: run.name,
          accuracy: run.accuracy,
        })),
      };
    });
  }

  /** @param {string} run @param {Blob} picture @param {boolean} look @returns {Promise<Predicted>} */
  async predict(run, picture, look) {
    const model = await this.reader(run);
    const made = normalizePicture(...await pixelsOf(picture), model.ink);
    const { probabilities, reason } = answerTo(model, made.pixels, made.reason, made.given);
    const [height, width, channels] = model.shape;
    const best = argmax(probabilities);
    const looked = look && reason !== "no_drawing" ? await occlusion(model, made.pixels, best, () => false) : null;
    const grey = (/** @type {number} */ at) =>
      [0, 1, 2].map((c) => made.pixels[at * channels + (channels === 3 ? c : 0)]);
    const over = (/** @type {Float32Array} */ values) => (/** @type {number} */ at) => {
      const strength = Math.min(1, Math.abs(values[at])) ** 0.8 * 0.85;
      const end = values[at] >= 0 ? [31, 143, 224] : [232, 96, 26];
      return grey(at).map((value, c) => value * (1 - strength) * 0.8 + end[c] * strength);
    };
    return {
      answers: probabilities.map((probability, place) => ({ label: model.classes[place], probability })),
      reason,
      set: [],
      seen: pictured(width, height, grey),
      saliency: looked ? pictured(width, height, over(looked)) : null,
    };
  }

  /**
   * The class that the newest model is sure of, for each picture; null for none. null without a model of this kind.
   * @param {string} kind @param {({ pixels: Uint8Array } | null)[]} alikes @returns {Promise<(string | null)[] | null>}
   */
  async sureOf(kind, alikes) {
    const run = this.list.filter(({ status }) => status === "done").at(-1);
    const model = run ? await this.model(run.name) : null;
    if (model?.kind !== kind) return null;
    const { shape, layers, classes } = model;
    const size = shape[0] * shape[1] * shape[2];
    const x = new Uint8Array(alikes.length * size);
    alikes.forEach((each, place) => x.set(each?.pixels ?? [], place * size));
    /** @type {number[][]} */
    const answers = await this.engine.made(this.engine.helper).ask({ type: "ask", shape, layers, x });
    return answers.map((row) => row[argmax(row)] > SURE ? classes[argmax(row)] : null);
  }

  /** The pictures of the tray of which the newest model is least sure. @param {number} count @returns {Promise<Suggested>} */
  async suggest(count) {
    const { engine } = this;
    const waiting = engine.own.at(null).filter(({ id }) => !this.skipped.has(id));
    const run = this.list.filter(({ status }) => status === "done").at(-1);
    if (!run) {
      const step = Math.max(1, Math.floor(waiting.length / count));
      const some = waiting.filter((_, place) => place % step === 0).slice(0, count);
      return {
        suggestions: some.map(({ id }) => ({ id, label: null, probability: null, margin: null, reason: "" })),
        model: null,
        random: null,
      };
    }
    const { kind, layers, shape, classes, images } = await this.model(run.name);
    if (this.asked.run !== run.name || this.asked.images !== images) {
      this.asked = { run: run.name, images, sure: new Map() };
    }
    const { sure } = this.asked;
    const unknown = waiting.filter(({ id }) => !sure.has(id));
    if (unknown.length) {
      const made = await engine.made(engine.alikes).of(kind, unknown);
      const size = shape[0] * shape[1] * shape[2];
      const x = new Uint8Array(unknown.length * size);
      made.forEach((each, place) => x.set(each?.pixels ?? [], place * size));
      /** @type {number[][]} */
      const answers = await engine.made(engine.helper).ask({ type: "ask", shape, layers, x });
      unknown.forEach(({ id }, place) => sure.set(id, answers[place]));
    }
    const ranked = waiting.map(({ id }) => {
      const probabilities = sure.get(id) ?? [];
      const label = argmax(probabilities);
      const [first = 0, second = 0] = [...probabilities].sort((a, b) => b - a);
      return { id, label: classes[label], probability: first, margin: first - second, reason: "" };
    }).sort((a, b) => a.margin - b.margin);
    return { suggestions: ranked.slice(0, count), model: run.name, random: null };
  }

  /** @param {string} name @param {string} format @returns {Promise<Download>} */
  async download(name, format) {
    const model = await this.model(name);
    const run = this.list.find((each) => each.name === name);
    const accuracy = run?.accuracy ?? null;
    if (format === "model") {
      const metrics = accuracy
        ? {
          judged_on: "studio, held-out pictures",
          accuracy: accuracy.value,
          n: accuracy.n,
          interval: [accuracy.low, accuracy.high],
        }
        : {};
      return { name: `${name}.safetensors`, blob: sealedModel(model, metrics) };
    }
    /** @type {[string, string][]} */
    const card = [
      ["Trained on", `${number(model.pictures)} pictures of ${model.classes.length} classes, in the studio`],
      ["Trained", model.made.slice(0, 10)],
      [
        "Accuracy",
        accuracy
          ? `${percent(accuracy.value)} (95 % interval ${percent(accuracy.low)} to ${
            percent(accuracy.high)
          }, n = ${accuracy.n})`
          : "not measured",
      ],
      ["Classes", model.classes.join(", ")],
    ];
    return { name: `${name}.html`, blob: exportedPage(model, card) };
  }
}
