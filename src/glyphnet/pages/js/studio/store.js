// @ts-check
// Where the page keeps pictures: the browser's own database, one for each address of the page.

/** What is known of a picture. place: its class, null for the tray; order: when it came; gone: whether it is deleted. @typedef {{ id: string, place: string | null, group: string | null, hash: string, width: number, height: number, type: string, order: number, gone: boolean }} Kept */

const STORES = ["pictures", "blobs", "small", "values"];

/** @template Result @type {<Result>(request: IDBRequest<Result>) => Promise<Result>} */
function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(failure(request.error));
  });
}

/** @type {(error: DOMException | null) => Error} */
function failure(error) {
  if (error?.name === "QuotaExceededError") {
    return new Error(
      "The browser has no more room for pictures. Save them as a zip, and delete some, or free disk space.",
    );
  }
  return new Error(`The browser's database failed: ${error?.message ?? "unknown"}.`);
}

export class Store {
  /** @param {IDBDatabase} database */
  constructor(database) {
    this.database = database;
  }

  /** @param {string} name @returns {Promise<Store>} */
  static async open(name) {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => STORES.forEach((each) => request.result.createObjectStore(each));
    return new Store(await result(request));
  }

  /** One value. @param {string} store @param {string} key @returns {Promise<any>} */
  get(store, key) {
    return result(this.database.transaction(store).objectStore(store).get(key));
  }

  /** All values of a store. @param {string} store @returns {Promise<any[]>} */
  all(store) {
    return result(this.database.transaction(store).objectStore(store).getAll());
  }

  /** Values for many keys, in their order. @param {string} store @param {string[]} keys @returns {Promise<any[]>} */
  many(store, keys) {
    const open = this.database.transaction(store).objectStore(store);
    return Promise.all(keys.map((key) => result(open.get(key))));
  }

  /**
   * Write all or nothing; a value of undefined deletes. Resolves once the browser says that it is on disk.
   * @param {{ store: string, key: string, value: any }[]} writes @returns {Promise<void>}
   */
  write(writes) {
    if (!writes.length) return Promise.resolve();
    const stores = [...new Set(writes.map(({ store }) => store))];
    const transaction = this.database.transaction(stores, "readwrite", { durability: "strict" });
    for (const { store, key, value } of writes) {
      if (value === undefined) transaction.objectStore(store).delete(key);
      else transaction.objectStore(store).put(value, key);
    }
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(failure(transaction.error));
    });
  }
}
