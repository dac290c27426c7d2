// Light, dark, or as the system has it. The choice is kept where the browser lets a file keep something.

import { byId, html } from "./elements.js";

const THEMES = { auto: ["◐", "Auto"], light: ["☀", "Light"], dark: ["☾", "Dark"] };

function storedTheme() {
  try {
    return localStorage.getItem("glyphnet-theme");
  } catch {
    return null;
  }
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const [sign, name] = THEMES[theme];
  byId("theme").replaceChildren(html("span", { "aria-hidden": "true", text: sign }), html("span", { class: "name", text: ` ${name}` }));
  byId("theme").setAttribute("aria-label", `Colours: ${name}`);
  byId("theme").title = "Change the colours: automatic, light, dark";
  try {
    localStorage.setItem("glyphnet-theme", theme);
  } catch {
    // It holds until the page is closed.
  }
}

export function startTheme() {
  const names = Object.keys(THEMES);
  let theme = names.includes(storedTheme()) ? storedTheme() : "auto";
  setTheme(theme);
  byId("theme").hidden = false;
  byId("theme").addEventListener("click", () => {
    theme = names[(names.indexOf(theme) + 1) % names.length];
    setTheme(theme);
  });
}
