// Tables, times and other pieces that several views are made of.

import { element } from "../element.js";
import { say } from "../words.js";

/** A table that scrolls sideways by itself where it is too wide. `rows` hold cells: words, or elements. */
export function table(words, columns, rows) {
  const head = element("tr", {}, ...columns.map((column) => element("th", { scope: "col", words: column })));
  const body = rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell ?? ""))));
  const made = element("table", {}, element("caption", { className: "unseen", words }),
    element("thead", {}, head), element("tbody", {}, ...body));
  const frame = element("div", { className: "wide", tabIndex: 0, name: words }, made);
  frame.setAttribute("role", "region");
  return frame;
}

export function time(at) {
  if (!at) return element("span", { words: "never" });
  return element("time", { dateTime: at, words: "atTime", values: [at] });
}

export const badge = (kind, words, ...values) => element("span", { className: `badge ${kind}`, words, values });

export const code = (text) => element("code", { textContent: text });

export const empty = (words, ...values) => element("p", { className: "empty", words, values });

export const link = (to, ...said) => element("a", { href: to }, ...said);

export const outside = (to, words, ...values) =>
  element("a", { href: to, target: "_blank", rel: "noopener noreferrer", className: "outside", words, values });

export const percent = (share) => `${Math.round(100 * share)}\u00a0%`; // never parted from its sign

/** A state's badge in the colour it deserves. */
export function state(name) {
  const kind = { ready: "good", failed: "bad", dead: "bad" }[name] ?? "plainly";
  return badge(kind, `state_${name}`);
}

export function outcome(name) {
  if (!name) return badge("plainly", "notJudged");
  return badge({ pass: "good", fail: "bad" }[name] ?? "plainly", `outcome_${name.replace(" ", "_")}`);
}

export const sentence = (both) => say("inLanguage", both);
