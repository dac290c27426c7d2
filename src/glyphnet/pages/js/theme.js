// @ts-check
// Light, dark, or as the system. The choice is stored where the browser allows it.

import { byId, html } from "./elements.js";

/** @type {{ [theme: string]: [sign: string, name: string] }} */
const THEMES = { auto: ["◐", "Auto"], light: ["☀", "Light"], dark: ["☾", "Dark"] };

/** @type {() => string | null} */
function storedTheme() {
  try {
    return localStorage.getItem("glyphnet-theme");
  } catch {
    return null;
  }
}

/** @type {(theme: string) => void} */
function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const [sign, name] = THEMES[theme];
  byId("theme").replaceChildren(
    html("span", { "aria-hidden": "true", text: sign }),
    html("span", { class: "name", text: ` ${name}` }),
  );
  byId("theme").setAttribute("aria-label", `Colours: ${name}`);
  byId("theme").title = "Change the colours: automatic, light, dark";
  try {
    localStorage.setItem("glyphnet-theme", theme);
  } catch {
    // Then it lasts until the page is closed.
  }
}

/** @type {() => void} */
export function startTheme() {
  const names = Object.keys(THEMES);
  let theme = storedTheme() ?? "auto";
  if (!names.includes(theme)) theme = "auto";
  setTheme(theme);
  byId("theme").hidden = false;
  byId("theme").addEventListener("click", () => {
    theme = names[(names.indexOf(theme) + 1) % names.length];
    setTheme(theme);
  });
}
