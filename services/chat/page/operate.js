// The page of those who run the house: one view at a time, those that one's rights open.

import * as api from "./api.js";
import { offerBrightness } from "./brightness.js";
import { element } from "./element.js";
import { answers } from "./office/answers.js";
import { candidates } from "./office/candidates.js";
import { documents } from "./office/documents.js";
import { feedback } from "./office/feedback.js";
import { overview } from "./office/overview.js";
import { releases } from "./office/releases.js";
import { OFFICE_WORDS } from "./office/words.js";
import { learn, say, switchLanguage, translate } from "./words.js";

const VIEWS = [
  { name: "overview", right: "operate", show: overview },
  { name: "feedback", right: "curate", show: feedback },
  { name: "documents", right: "operate", show: documents },
  { name: "releases", right: "operate", show: releases },
  { name: "candidates", right: "operate", show: candidates },
  { name: "answers", right: "audit", show: answers },
];
const find = (id) => document.getElementById(id);
const MOVED = "moved"; // what had the focus is gone: readers and keyboards go on at the view
let open = []; // the views that one's rights open

learn(OFFICE_WORDS);
start();

async function start() {
  api.takeTokenFromAddress();
  translate();
  nameLanguage();
  offerBrightness(find("brightness"));
  find("language").addEventListener("click", () => { switchLanguage(); translate(); nameLanguage(); turn(); });
  await api.lookForSession();
  if (!api.hasToken()) return tell("enterFirst");
  find("subject").textContent = api.subject();
  await attempt(async () => {
    const { rights } = await api.me();
    open = VIEWS.filter(({ right }) => rights.includes(right));
    if (!open.length) return tell("noRight");
    addEventListener("hashchange", turn);
    await turn();
  });
}

function nameLanguage() {
  find("language").textContent = say("otherLanguage");
  find("language").lang = document.documentElement.lang === "ja" ? "en" : "ja";
}

/** Show the view that the address names, with what stands after its name: #documents/failed. */
async function turn(why) {
  if (!open.length) return;
  const [name, ...rest] = decodeURIComponent(location.hash.slice(1)).split("/");
  const view = open.find((one) => one.name === name) ?? open[0];
  find("views").replaceChildren(...open.map((one) => link(one, one === view)));
  document.title = `${say(`view_${view.name}`)} – 基盤 Kiban`;
  find("view").setAttribute("aria-busy", "true");
  find("view").replaceChildren(heading(view), element("p", { className: "note", words: "loading" }));
  await attempt(async () => {
    const shown = await view.show(rest.join("/"), () => turn(MOVED));
    find("view").replaceChildren(heading(view), ...shown);
  });
  find("view").setAttribute("aria-busy", "false");
  if (why === MOVED || why?.type === "hashchange") find("view").focus({ preventScroll: true });
}

const heading = ({ name }) => element("h2", { id: "title", words: `view_${name}` });

function link({ name }, here) {
  const made = element("a", { href: `#${name}`, words: `view_${name}` });
  if (here) made.setAttribute("aria-current", "page");
  return made;
}

function tell(words) {
  find("view").replaceChildren(element("p", { className: "empty", words }));
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof api.Refusal)) throw error;
    if (error.status === 401) {
      api.forgetToken();
      return tell("enterFirst");
    }
    const words = { 0: "unreachable", 403: "noRight", 404: "notHere" }[error.status];
    const said = words ? { words } : { words: "couldNot", values: [error.message] };
    const notice = element("div", { className: "notice" }, element("p", said));
    notice.setAttribute("role", "alert");
    find("view").replaceChildren(notice);
  }
}
