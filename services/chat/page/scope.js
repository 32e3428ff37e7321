// What a question is narrowed to: a source, a folder, a format, dates. What may be chosen, the server says.

import { choices, Refusal } from "./api.js";
import { element } from "./element.js";

const find = (id) => document.getElementById(id);
const KINDS = [["source", "sources"], ["folder", "folders"], ["format", "formats"]];

export function offerScope() {
  find("narrow").addEventListener("click", toggle);
  find("scope").addEventListener("change", tell);
  find("scope").addEventListener("keydown", ({ key }) => { if (key === "Escape") toggle(); });
  find("scope").addEventListener("submit", (event) => { event.preventDefault(); toggle(); });
  find("scope-clear").addEventListener("click", () => { find("scope").reset(); tell(); });
}

/** The scope as the API takes it; null for everything. */
export function chosenScope() {
  const { source, folder, format, from, until } = fields();
  const scope = {};
  if (source) scope.sources = [source];
  if (folder) scope.under = folder;
  if (format) scope.formats = [format];
  if (from) scope.modified_from = new Date(`${from}T00:00:00`).toISOString();
  if (until) scope.modified_before = dayAfter(until).toISOString();
  return Object.keys(scope).length ? scope : null;
}

const fields = () => Object.fromEntries(new FormData(find("scope")));

function dayAfter(day) {
  const date = new Date(`${day}T00:00:00`);
  date.setDate(date.getDate() + 1);
  return date;
}

async function toggle() {
  const open = find("scope").hidden;
  find("scope").hidden = !open;
  find("narrow").setAttribute("aria-expanded", String(open));
  if (!open) return find("narrow").focus();
  await fill();
  find("scope").querySelector("select").focus();
}

async function fill() {
  try {
    const offered = await choices();
    find("scope-notice").hidden = true;
    for (const [kind, plural] of KINDS) fillOne(find("scope").elements[kind], offered[plural]);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    find("scope-notice").hidden = false;
  }
}

function fillOne(select, offered) {
  const chosen = select.value;
  const all = element("option", { value: "", words: "anything" });
  select.replaceChildren(all, ...offered.map(({ value, documents }) =>
    element("option", { value, textContent: `${value} (${documents})` })));
  select.value = offered.some(({ value }) => value === chosen) ? chosen : "";
}

/** Say on the button what is chosen. */
function tell() {
  const { source, folder, format, from, until } = fields();
  const dates = from || until ? `${from}–${until}` : "";
  const told = [source, folder, format, dates].filter(Boolean).join("・");
  const words = told ? { words: "narrowedTo", values: [told] } : { words: "narrow" };
  find("narrow").replaceChildren(element("span", words));
  find("narrow").classList.toggle("set", told !== "");
}
