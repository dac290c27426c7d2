// @ts-check
// metadata.csv: the group of each picture, as glyphnet reads and writes it.

/** One cell of a table of commas. @type {(text: string) => string} */
export function cell(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The lines of a table of commas, with cells in quotes. @type {(text: string) => string[][]} */
export function linesOf(text) {
  /** @type {string[][]} */
  const lines = [[""]];
  let quoted = false;
  const add = (/** @type {string} */ character) => {
    const line = lines[lines.length - 1];
    line[line.length - 1] += character;
  };
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (quoted && character === '"' && text[at + 1] === '"') add(text[at++]);
    else if (character === '"') quoted = !quoted;
    else if (!quoted && character === ",") lines[lines.length - 1].push("");
    else if (!quoted && (character === "\n" || character === "\r")) {
      if (character === "\r" && text[at + 1] === "\n") at++;
      lines.push([""]);
    } else add(character);
  }
  return lines.filter((line) => line.some(Boolean));
}

/** The group of each path. @type {(text: string) => Map<string, string>} */
export function groupsIn(text) {
  const [head = [], ...rows] = linesOf(text.replace(/^\ufeff/, ""));
  const [name, group] = ["file_name", "group"].map((column) => head.indexOf(column));
  if (name < 0 || group < 0) return new Map();
  return new Map(rows.filter((row) => row[name] && row[group]).map((row) => [row[name], row[group]]));
}
