// A button that turns the page dark or light; until it is pressed, the page follows the machine.

import { element } from "./element.js";

const KEPT = "kiban-theme";
const machine = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : machine.matches);

export function offerBrightness(button) {
  const name = () => button.replaceChildren(element("span", { words: isDark() ? "brighter" : "darker" }));
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    localStorage.setItem(KEPT, root.dataset.theme);
    name();
  });
  machine.addEventListener("change", name);
  name();
}
