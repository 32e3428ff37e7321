// Earlier conversations: a list to read them again, go on, or delete them.

import * as api from "./api.js";
import { element } from "./element.js";

const SHORT = { dateStyle: "short", timeStyle: "short" };
const find = (id) => document.getElementById(id);

/** Show the list, or put it away. `read` is given what was said, `forgotten` the id of what was deleted. */
export async function openShelf(read, forgotten) {
  if (!find("shelf").hidden) return closeShelf();
  show(true);
  await fill(read, forgotten);
  find("shelf-list").querySelector("button")?.focus();
}

export const closeShelf = () => show(false);

function show(open) {
  find("shelf").hidden = !open;
  find("earlier").setAttribute("aria-expanded", String(open));
}

async function fill(read, forgotten) {
  try {
    const kept = await api.conversations();
    const rows = kept.map((one) => row(one, read, forgotten));
    find("shelf-list").replaceChildren(...(rows.length ? rows : [element("li", { words: "noTalks" })]));
  } catch (error) {
    complain(error);
  }
}

function row({ id, title, last_at }, read, forgotten) {
  const when = new Date(last_at * 1000);
  const open = element(
    "button",
    { type: "button", className: "open" },
    element("span", { className: "title", textContent: title }),
    element("time", { dateTime: when.toISOString(), textContent: when.toLocaleString(document.documentElement.lang, SHORT) }),
  );
  open.addEventListener("click", () => attempt(async () => read(id, await api.readConversation(id))));
  const forget = element("button", { type: "button", className: "plain", words: "forgetShort", name: "forget", values: [title] });
  forget.addEventListener("click", () => attempt(async () => {
    await api.deleteConversation(id);
    forgotten(id);
    show(true);
    await fill(read, forgotten);
  }));
  return element("li", {}, open, forget);
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    complain(error);
  }
}

function complain(error) {
  if (!(error instanceof api.Refusal)) throw error;
  const notice = element("li", { className: "note", words: error.status ? "couldNot" : "unreachable", values: error.status ? [error.message] : [] });
  notice.setAttribute("role", "alert");
  find("shelf-list").prepend(notice);
}
