// Elements whose words follow the language. What comes from elsewhere becomes text nodes, never markup.

import { say } from "./words.js";

/** Make an element. `say` names words that follow the language; `values` are counted in them. */
export function element(tag, { words, values = [], name, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  if (words) {
    made.dataset.say = words;
    made.textContent = say(words, ...values);
  }
  if (name) {
    made.dataset.name = name;
    made.setAttribute("aria-label", say(name, ...values));
  }
  if (values.length) made.dataset.values = JSON.stringify(values);
  made.append(...children.filter((child) => child !== null));
  return made;
}
