// @ts-check
// Files out of what is dropped, pasted or chosen: folders are walked, and a picture in a folder belongs to the class of this name.

/** @import { Given } from "./engine.js" */

const HIDDEN = /^(\.|__MACOSX$|Thumbs\.db$|desktop\.ini$)/i;
const TABLES = /\.(csv|txt|md|json)$/i;

/**
 * The class of a file, by its path from what was given: its folder's name; null for a file that lies in none.
 * @type {(path: string) => string | null}
 */
export function folderOf(path) {
  const parts = path.split("/").filter(Boolean);
  return parts.length > 1 ? parts[parts.length - 2] : null;
}

/** Whether a file is none that somebody meant to give: hidden ones, and tables beside pictures. @type {(path: string) => boolean} */
export function isAside(path) {
  return TABLES.test(path) || path.split("/").some((part) => HIDDEN.test(part));
}

/** @type {(list: FileList | null | undefined) => Given[]} */
export function filesOf(list) {
  return Array.from(list ?? [], (file) => {
    const path = file.webkitRelativePath || file.name;
    return { name: path, blob: file, folder: folderOf(path) };
  }).filter(({ name }) => !isAside(name));
}

/** @type {(transfer: DataTransfer) => Promise<Given[]>} */
export async function droppedFiles(transfer) {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.some((entry) => entry?.isDirectory)) return filesOf(transfer.files);
  /** @type {Given[]} */
  const files = [];
  for (const entry of entries) if (entry) await walk(entry, files);
  return files;
}

/** @type {(entry: FileSystemEntry, files: Given[]) => Promise<void>} */
async function walk(entry, files) {
  const path = entry.fullPath.replace(/^\//, "");
  if (isAside(path)) return;
  if (entry.isFile) {
    const blob = await new Promise((resolve, reject) =>
      /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject)
    );
    files.push({ name: path, blob, folder: folderOf(path) });
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
