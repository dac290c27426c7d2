// @ts-check
// The studio's modules that need no browser: zips, tables, figures, augmentation, the choice of test pictures, words.

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../../src/glyphnet/pages/js/engine/random.js";
import { changedCopy, CHANGES, stronger } from "../../../src/glyphnet/pages/js/studio/augment.js";
import { classesOf, isAside } from "../../../src/glyphnet/pages/js/studio/drops.js";
import { faultOfName } from "../../../src/glyphnet/pages/js/studio/engine.js";
import { pairedTest, wilson } from "../../../src/glyphnet/pages/js/studio/figures.js";
import { heldOut, lengthOf } from "../../../src/glyphnet/pages/js/studio/recipe.js";
import { language, t, TABLE } from "../../../src/glyphnet/pages/js/studio/strings.js";
import { normalizePicture, normalizeStrokes } from "../../../src/glyphnet/pages/js/ink.js";
import { DRAWN } from "../../../src/glyphnet/pages/js/studio/drawing.js";
import { cell, groupsIn, linesOf } from "../../../src/glyphnet/pages/js/studio/table.js";
import { crc32, isZip, pathsIn, readZip, writeZip } from "../../../src/glyphnet/pages/js/studio/zip.js";

/** @type {(zip: Blob) => Promise<string[][]>} */
async function unpacked(zip) {
  const found = [];
  for await (const { path, blob } of readZip(zip)) found.push([path, await blob.text()]);
  return found;
}

test("a zip holds what went into it, names in every script", async () => {
  const files = [["fünf/0001.png", "one"], ["六/ü.png", ""], ["metadata.csv", "file_name,group\n"]];
  const zip = await writeZip(files.map(([path, text]) => ({ path, blob: new Blob([text]) })));
  ok(await isZip(zip));
  deepEqual(await unpacked(zip), files);
  ok(!await isZip(new Blob(["no zip"])));
});

test("a zip of Windows' tools has folders", async () => {
  const zip = await writeZip([{ path: "five\\deep\\1.png", blob: new Blob(["one"]) }]);
  deepEqual(await pathsIn(zip), ["five/deep/1.png"]);
  deepEqual(await unpacked(zip), [["five/deep/1.png", "one"]]);
});

test("a zip that is cut short, damaged or a bomb is refused", async () => {
  const zip = await writeZip([{ path: "a.png", blob: new Blob(["some content"]) }]);
  await rejects(unpacked(zip.slice(0, zip.size - 30)), /damaged|directory/);
  const bytes = new Uint8Array(await zip.arrayBuffer());
  bytes[36] ^= 1; // in the content
  await rejects(unpacked(new Blob([bytes])), /a\.png .*damaged/);
  const bomb = new Uint8Array(await zip.arrayBuffer());
  const view = new DataView(bomb.buffer);
  for (let at = 0; at < bomb.length - 4; at++) {
    if (view.getUint32(at, true) === 0x02014b50) view.setUint32(at + 24, 2 ** 31, true);
  }
  await rejects(unpacked(new Blob([bomb])), /unpacks to too much/);
});

test("crc32 is that of the standard", () => equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926));

test("tables: quotes, commas and line ends come back", () => {
  const rows = [["file_name", "group"], ["a,b.png", 'the "one"'], ["x\ny.png", "g"]];
  deepEqual(linesOf(rows.map((row) => row.map(cell).join(",")).join("\r\n")), rows);
  deepEqual([...groupsIn("\ufefffile_name,label,group\na.png,x,anna\nb.png,y,\n")], [["a.png", "anna"]]);
  equal(groupsIn("path,who\na,b").size, 0);
});

test("Wilson's interval and McNemar's test", () => {
  deepEqual(wilson(90, 100).map((value) => value.toFixed(4)), ["0.8256", "0.9448"]);
  deepEqual(wilson(0, 0), [0, 1]);
  equal(pairedTest(0, 0), 1);
  equal(pairedTest(1, 9).toFixed(5), "0.02148"); // scipy.stats.binomtest(1, 10).pvalue
  equal(pairedTest(5, 5), 1);
});

test("a changed copy is another picture of the same thing, the same for the same seed", () => {
  const pixels = new Uint8Array(2 * 784);
  for (let y = 8; y < 20; y++) for (let x = 12; x < 16; x++) pixels[784 + y * 28 + x] = 255;
  const copy = (/** @type {number} */ seed, change = CHANGES.ink) => {
    const values = new Float32Array(784);
    changedCopy(pixels, 784, [28, 28, 1], change, new Random(seed), values, 0);
    return values;
  };
  deepEqual(copy(1), copy(1));
  ok(copy(1).some((value, at) => Math.abs(value - copy(2)[at]) > 0.2));
  const sum = copy(3).reduce((all, value) => all + value, 0);
  ok(sum > 30 && sum < 70, `ink of 48 pixels became ${sum}`);
  const none = copy(1, { turn: 0, shear: 0, scale: 0, shift: 0, bend: 0, light: 0, noise: 0, mirror: false });
  deepEqual([...none], [...pixels.subarray(784)].map((value) => value / 255));
  ok(copy(1, stronger(CHANGES.photo)).every((value) => value >= 0 && value <= 1));
});

test("one of five pictures tests, groups stay on one side, and more pictures change little", () => {
  const random = new Random(1);
  const hash = () => random.bits().toString(16).padStart(8, "0");
  const plain = Array.from({ length: 100 }, (_, row) => ({ hash: hash(), label: row % 2, group: null }));
  const held = heldOut(plain, 2);
  deepEqual([0, 1].map((label) => held.filter((each, row) => each && plain[row].label === label).length), [10, 10]);
  const more = heldOut([...plain, { hash: hash(), label: 0, group: null }], 2);
  ok(held.filter((each, row) => each !== more[row]).length <= 2);
  const grouped = plain.map((each, row) => ({ ...each, group: `g${Math.floor(row / 4)}` }));
  const apart = heldOut(grouped, 2);
  ok(apart.includes(true) && apart.includes(false));
  grouped.forEach(({ group }, row) =>
    grouped.forEach((other, place) => group === other.group && equal(apart[row], apart[place]))
  );
  deepEqual(heldOut([{ hash: "a", label: 0, group: null }], 1), [false]);
  equal(lengthOf("fast", 80).epoch % 80, 0);
});

test("files beside pictures are left out, and the folder is the class", () => {
  deepEqual(classesOf(["five/1.png", "0001.png"]), ["five", null]);
  deepEqual(classesOf(["five/1.png", "five/2.png"]), ["five", "five"]);
  deepEqual(classesOf(["data/train/five/1.png", "data/test/six/1.png"]), ["five", "six"]);
  deepEqual(classesOf(["data/train/five/1.png"]), ["five"]);
  deepEqual(classesOf(["zoo/birds/owl/1.png", "zoo/birds/2.png", "zoo/fish/cod/3.png"]), ["birds", "birds", "fish"]);
  deepEqual(classesOf(["zoo/1.png", "zoo/fish/3.png"]), ["zoo", "fish"]);
  deepEqual(classesOf([]), []);
  deepEqual(["__MACOSX/a.png", "five/.DS_Store", "metadata.csv", "five/a.png"].map(isAside), [true, true, true, false]);
});

test("names of classes are names of folders", () => {
  const classes = [{ name: "five", count: 1 }];
  deepEqual(
    ["five", "", "unlabelled", "Test", ".x", "a/b", "a\u0000", "x".repeat(256), "\ud800", "fünf"].map((name) =>
      faultOfName(name, classes)
    ),
    [
      "name_taken",
      "name_empty",
      "name_reserved",
      "name_reserved",
      "name_reserved",
      "name_characters",
      "name_characters",
      "name_long",
      "name_characters",
      null,
    ],
  );
});

test("every word is there in every language, with the same places", () => {
  const places = (/** @type {string} */ text) => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();
  for (const [key, { en, de }] of Object.entries(TABLE)) {
    equal(typeof en, typeof de, key);
    const forms = typeof en === "string"
      ? [[en, /** @type {string} */ (de)]]
      : [[en.one, /** @type {any} */ (de).one], [en.other, /** @type {any} */ (de).other]];
    for (const [one, other] of forms) {
      ok(one && other, key);
      deepEqual(places(one), places(other), key);
    }
  }
  language.value = "de";
  equal(t("pictures", { n: 1234 }), "1.234 Bilder");
  language.value = "en";
  equal(t("pictures", { n: 1 }), "1 picture");
  match(t("undo_what", { what: "<b>" }), /<b>/);
});

test("strokes on a sheet become what any picture of them becomes, up to a pixel", () => {
  const side = 448;
  for (const [across, down, size] of [[0.3, 0.4, 0.15], [0.6, 0.5, 0.3], [0.5, 0.5, 0.08]]) {
    const sheet = new Uint8ClampedArray(4 * side * side).fill(255);
    for (let at = 0; at < side * side; at++) {
      const [x, y] = [(at % side) / side - across, Math.floor(at / side) / side - down];
      const inside = Math.abs(Math.hypot(1.6 * x, y) - size) < 0.031 || (Math.abs(x) < 0.031 && Math.abs(y) < size);
      if (inside) sheet.fill(0, 4 * at, 4 * at + 3);
    }
    const made = normalizeStrokes(sheet, side, side, DRAWN) ?? [];
    const expected = normalizePicture(sheet, side, side, DRAWN).pixels;
    const apart = [-1, 0, 1].flatMap((dy) =>
      [-1, 0, 1].map((dx) => {
        let sum = 0;
        for (let y = 1; y < 27; y++) {
          for (let x = 1; x < 27; x++) sum += Math.abs(made[y * 28 + x] - expected[(y + dy) * 28 + x + dx]);
        }
        return sum / 26 / 26;
      })
    );
    ok(Math.min(...apart) < 20, `mean difference ${Math.min(...apart)}`); // half a pixel on thin strokes; others: 60
    const [ink, wanted] = [made, expected].map((each) => each.reduce((sum, value) => sum + value, 0));
    ok(Math.abs(ink - wanted) < 0.15 * wanted, `ink ${ink}, not ${wanted}`);
  }
  equal(normalizeStrokes(new Uint8ClampedArray(4 * 100).fill(255), 10, 10, DRAWN), null);
});
