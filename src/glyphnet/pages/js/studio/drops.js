// @ts-check
// Files out of what is dropped, pasted or chosen: folders are walked, and a picture in a folder belongs to the class of this name.

/** @import { Given } from "./engine.js" */

const HIDDEN = /^(\.|__MACOSX$|Thumbs\.db$|desktop\.ini$)/i;
const TABLES = /\.(csv|txt|md|json)$/i;

const PARTS = /^(train|training|test|testing|val|valid|validation)$/i;

/**
 * The class of each file, by the paths of all that was given: the folder below the one in which all lie, as Python takes it,
 * whatever folders are inside; null for a file that lies in none. Parts of the data are put together.
 * @type {(paths: string[]) => (string | null)[]}
 */
export function classesOf(paths) {
  const folders = paths.map((path) => path.split("/").filter(Boolean).slice(0, -1));
  const inside = folders.filter(({ length }) => length);
  let depth = 0;
  while (
    inside.some(({ length }) => length > depth + 1) && inside.every((each) => each[depth] === inside[0][depth])
  ) depth++;
  return folders.map((each) => {
    const rest = each.slice(depth);
    if (rest.length > 1 && PARTS.test(rest[0])) rest.shift();
    return rest[0] ?? each.at(-1) ?? null;
  });
}

/** Whether a file is none that somebody meant to give: hidden ones, and tables beside pictures. @type {(path: string) => boolean} */
export function isAside(path) {
  return TABLES.test(path) || path.split("/").some((part) => HIDDEN.test(part));
}

/** @type {(files: Given[]) => Given[]} */
function inClasses(files) {
  const classes = classesOf(files.map(({ name }) => name));
  return files.map((file, place) => ({ ...file, folder: classes[place] }));
}

/** @type {(list: FileList | null | undefined) => Given[]} */
export function filesOf(list) {
  return inClasses(
    Array.from(list ?? [], (file) => ({ name: file.webkitRelativePath || file.name, blob: file })).filter(({ name }) =>
      !isAside(name)
    ),
  );
}

/** @type {(transfer: DataTransfer) => Promise<Given[]>} */
export async function droppedFiles(transfer) {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.some((entry) => entry?.isDirectory)) return filesOf(transfer.files);
  /** @type {Given[]} */
  const files = [];
  for (const entry of entries) if (entry) await walk(entry, files);
  return inClasses(files);
}

/** @type {(entry: FileSystemEntry, files: Given[]) => Promise<void>} */
async function walk(entry, files) {
  const path = entry.fullPath.replace(/^\//, "");
  if (isAside(path)) return;
  if (entry.isFile) {
    const blob = await new Promise((resolve, reject) =>
      /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject)
    );
    files.push({ name: path, blob });
    return;
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  for (;;) { // a reader gives at most 100 entries at once
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const each of some) await walk(each, files);
  }
}
