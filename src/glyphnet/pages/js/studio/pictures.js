// @ts-check
// The pictures of the page's own engine: in memory what is known of them, in the browser's database the files. Every change
// is an operation that can be taken back.

import { decodePicture } from "../decode.js";
import { faultOfName } from "./engine.js";
import { classesOf, isAside } from "./drops.js";
import { hashOf, kindOf } from "./pixels.js";
import { groupsIn } from "./table.js";
import { isZip, pathsIn, readZip } from "./zip.js";
/** @import { Added, ClassCount, Given, Place } from "./engine.js" */
/** @import { Kept, Store } from "./store.js" */

export const TRAY = "unlabelled"; // the folder of pictures without a label
const AT_ONCE = 100; // pictures that are written together

/** What changes of a picture. @typedef {Partial<Kept>} Patch */
/** One operation: each picture before and after it, and the classes. @typedef {{ title: string, patches: { id: string, before: Patch, after: Patch }[], classes: [before: string[], after: string[]] }} Operation */
/** A file on its way in. @typedef {{ name: string, blob: Blob, place: Place, group: string | null }} Incoming */

/** Count a file that is not taken. @type {(made: Added, name: string, reason: string) => null} */
function refused(made, name, reason) {
  made.refused.push({ name, reason });
  return null;
}

/** Whether a path in a zip leads out of it. @type {(path: string) => boolean} */
const leaves = (path) => path.split("/").includes("..");

export class Pictures {
  /** @param {Store} store @param {() => void} changed */
  constructor(store, changed) {
    this.store = store;
    this.changed = changed;
    /** @type {Map<string, Kept>} */
    this.all = new Map();
    /** @type {string[]} */
    this.classes = [];
    /** @type {Operation[]} */
    this.done = [];
    /** @type {Operation[]} */
    this.undone = [];
    /** @type {Map<Place, Kept[]>} */
    this.lists = new Map();
    this.next = 1;
    /** @type {Promise<unknown>} */
    this.last = Promise.resolve();
  }

  async open() {
    this.classes = (await this.store.get("values", "classes")) ?? [];
    /** @type {Kept[]} */
    const kept = await this.store.all("pictures");
    const gone = kept.filter((each) => each.gone); // nobody can take a deletion of another day back
    await this.store.write(
      gone.flatMap(({ id }) => ["pictures", "blobs"].map((store) => ({ store, key: id, value: undefined }))),
    );
    for (const each of kept) if (!each.gone) this.all.set(each.id, each);
    this.next = 1 + kept.reduce((most, { order }) => Math.max(most, order), 0);
    this.arrange();
  }

  /** One change after the other. @template Result @param {() => Promise<Result>} work @returns {Promise<Result>} */
  alone(work) {
    const made = this.last.then(work);
    this.last = made.catch(() => {});
    return made;
  }

  arrange() {
    this.lists = new Map([[null, []], ...this.classes.map((name) => /** @type {[Place, Kept[]]} */ ([name, []]))]);
    for (const each of this.all.values()) if (!each.gone) this.lists.get(each.place)?.push(each);
    for (const list of this.lists.values()) list.sort((a, b) => a.order - b.order);
    this.changed();
  }

  /** @param {Place} place @returns {Kept[]} */
  at(place) {
    return this.lists.get(place) ?? [];
  }

  /** All pictures with a label. @returns {Kept[]} */
  get labelled() {
    return this.classes.flatMap((name) => this.at(name));
  }

  /** @returns {ClassCount[]} */
  get counts() {
    return this.classes.map((name) => ({ name, count: this.at(name).length }));
  }

  /** Do an operation, or take it back. @param {Operation} operation @param {"before" | "after"} side @param {{ store: string, key: string, value: any }[]} [more] */
  async apply({ patches, classes }, side, more = []) {
    const next = patches.map(({ id, [side]: patch }) => ({ .../** @type {Kept} */ (this.all.get(id)), ...patch }));
    const names = classes[side === "before" ? 0 : 1];
    await this.store.write([
      ...next.map((value) => ({ store: "pictures", key: value.id, value })),
      { store: "values", key: "classes", value: names },
      ...more,
    ]);
    for (const each of next) this.all.set(each.id, each);
    this.classes = names;
    this.arrange();
  }

  /** @param {string} title @param {Operation["patches"]} patches @param {string[]} [classes] after it */
  async perform(title, patches, classes = this.classes) {
    /** @type {Operation} */
    const operation = { title, patches, classes: [this.classes, classes] };
    await this.apply(operation, "after");
    this.done.push(operation);
    this.undone = [];
    this.changed();
  }

  undo() {
    return this.alone(() => this.step(this.done, this.undone, "before"));
  }

  redo() {
    return this.alone(() => this.step(this.undone, this.done, "after"));
  }

  /** @param {Operation[]} from @param {Operation[]} to @param {"before" | "after"} side */
  async step(from, to, side) {
    const operation = from.at(-1);
    if (operation === undefined) return;
    await this.apply(operation, side);
    to.push(/** @type {Operation} */ (from.pop()));
    this.changed();
  }

  /** @param {string[]} ids @param {Patch} after @returns {Operation["patches"]} */
  patchesOf(ids, after) {
    return ids.flatMap((id) => {
      const own = this.all.get(id);
      if (own === undefined || own.gone) return [];
      const before = Object.fromEntries(
        Object.keys(after).map((name) => [name, own[/** @type {keyof Kept} */ (name)]]),
      );
      return [{ id, before, after }];
    });
  }

  /** @param {string} title @param {string[]} ids @param {Patch} after */
  patch(title, ids, after) {
    return this.alone(() => this.perform(title, this.patchesOf(ids, after)));
  }

  /** @param {string} name @param {string} title */
  addClass(name, title) {
    return this.alone(() => this.perform(title, [], [...this.classes, this.sound(name)]));
  }

  /** @param {string} name @param {string} to @param {string} title */
  renameClass(name, to, title) {
    return this.alone(() => {
      const patches = this.patchesOf(this.at(name).map(({ id }) => id), { place: this.sound(to) });
      return this.perform(title, patches, this.classes.map((each) => (each === name ? to : each)));
    });
  }

  /** @param {string} name @param {string} title */
  deleteClass(name, title) {
    return this.alone(() => {
      const patches = this.patchesOf(this.at(name).map(({ id }) => id), { gone: true });
      return this.perform(title, patches, this.classes.filter((each) => each !== name));
    });
  }

  /** The name, if a class may be called so. @param {string} name */
  sound(name) {
    const fault = faultOfName(name, this.counts);
    if (fault) throw new Error(`A class cannot be called “${name}” (${fault.replace("name_", "")}).`);
    return name;
  }

  /**
   * Add files, those in folders to the classes of these names, zips unpacked.
   * @param {Place} place @param {string | null} group @param {Given[]} files @param {(added: number) => string} title
   * @returns {Promise<Added>}
   */
  add(place, group, files, title) {
    return this.alone(async () => {
      /** @type {Added} */
      const made = { added: [], refused: [], same: [] };
      const hashes = new Map([...this.all.values()].filter(({ gone }) => !gone).map(({ hash, id }) => [hash, id]));
      const classes = [...this.classes];
      /** @type {Operation["patches"]} */
      const patches = [];
      /** @type {{ store: string, key: string, value: any }[]} */
      let writes = [];
      for await (const each of this.incoming(place, group, files, made)) {
        const kept = await this.accept(each, hashes, classes, made);
        if (kept === null) continue;
        writes.push({ store: "blobs", key: kept.id, value: each.blob }, {
          store: "pictures",
          key: kept.id,
          value: { ...kept, gone: true },
        });
        this.all.set(kept.id, { ...kept, gone: true });
        patches.push({ id: kept.id, before: { gone: true }, after: { gone: false } });
        if (writes.length >= 2 * AT_ONCE) {
          await this.store.write(writes); // still hidden: one operation shows all of them, or none
          writes = [];
        }
      }
      await this.store.write(writes);
      const fresh = classes.splice(this.classes.length).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
      classes.push(...fresh);
      if (patches.length || classes.length > this.classes.length) {
        await this.perform(title(made.added.length), patches, classes);
      }
      return made;
    });
  }

  /** @param {Place} place @param {string | null} group @param {Given[]} files @param {Added} made @returns {AsyncGenerator<Incoming>} */
  async *incoming(place, group, files, made) {
    for (const { name, blob, folder } of files) {
      if (!await isZip(blob)) {
        yield { name, blob, place: folder ? (folder === TRAY ? null : folder) : place, group };
        continue;
      }
      try {
        /** @type {Map<string, string>} */
        let groups = new Map();
        for await (const table of readZip(blob, (path) => path === "metadata.csv")) {
          groups = groupsIn(await table.blob.text());
        }
        const paths = (await pathsIn(blob)).filter((path) => !isAside(path) && !leaves(path));
        const found = classesOf(paths);
        const own = new Map(paths.map((path, number) => [path, found[number]]));
        for await (const entry of readZip(blob)) {
          if (leaves(entry.path)) {
            refused(made, entry.path, "a path that leaves the zip");
            continue;
          }
          if (isAside(entry.path)) continue;
          const folder = own.get(entry.path) ?? null;
          yield {
            name: entry.path,
            blob: entry.blob,
            place: folder ? (folder === TRAY ? null : folder) : place,
            group: groups.get(entry.path) ?? group,
          };
        }
      } catch (error) {
        made.refused.push({ name, reason: error instanceof Error ? error.message : String(error) });
      }
    }
  }

  /** What is kept of a file; null if it is none, or there already. @param {Incoming} incoming @param {Map<string, string>} hashes @param {string[]} classes @param {Added} made @returns {Promise<Kept | null>} */
  async accept({ name, blob, place, group }, hashes, classes, made) {
    const kind = await kindOf(blob);
    if (kind === null) return refused(made, name, "no picture (PNG, JPEG, GIF, BMP, WebP)");
    if (place !== null && !classes.includes(place)) {
      const fault = faultOfName(place, []);
      if (fault) return refused(made, name, `“${place}” cannot be the name of a class`);
    }
    const hash = await hashOf(blob);
    const same = hashes.get(hash);
    if (same !== undefined) {
      made.same.push({ name, as: same });
      return null;
    }
    let size;
    try {
      const bitmap = await decodePicture(blob);
      size = { width: bitmap.width, height: bitmap.height };
      bitmap.close();
    } catch {
      return refused(made, name, "damaged, or larger than 50 million pixels");
    }
    if (place !== null && !classes.includes(place)) classes.push(place);
    const order = this.next++;
    const id = `p${String(order).padStart(6, "0")}.${kind.ending}`;
    hashes.set(hash, id);
    made.added.push(id);
    return { id, place, group, hash, ...size, type: kind.type, order, gone: false };
  }
}
