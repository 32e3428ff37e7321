// The conversation: who asks, what was asked, what is being answered.

import * as api from "./api.js";
import { offerBrightness } from "./brightness.js";
import { copyButton } from "./copy.js";
import { feedbackLine } from "./feedback.js";
import { firstField, offerLogin } from "./login.js";
import { chosenScope, offerScope } from "./scope.js";
import { closeShelf, openShelf } from "./shelf.js";
import { element } from "./element.js";
import { proven, sourceList } from "./render.js";
import { say, switchLanguage, translate } from "./words.js";

const REMEMBERED = 4; // earlier messages sent along with a question
const find = (id) => document.getElementById(id);
const box = find("question");
let said = []; // {role, content} of finished answers and their questions
let conversation = null; // the id under which they are kept; null before the first question
let running = null; // AbortController of the answer being written

start();

function start() {
  api.takeTokenFromAddress();
  translate();
  find("language").addEventListener("click", () => { switchLanguage(); translate(); nameLanguage(); });
  find("leave").addEventListener("click", leave);
  find("by-token").addEventListener("submit", signIn);
  find("ask").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  find("earlier").addEventListener("click", () => openShelf(readAgain, forgotten));
  find("new").addEventListener("click", () => { if (!running) startAfresh(); });
  find("stop").addEventListener("click", () => running?.abort());
  box.addEventListener("keydown", sendOnEnter);
  offerBrightness(find("brightness"));
  offerScope();
  nameLanguage();
  offerLogin(() => show(true), refuseSignIn);
  api.lookForSession().catch(() => {}).finally(() => show(api.hasToken())); // asking will say what is wrong
}

async function leave() {
  await api.logOut().catch(() => {}); // its cookie may be gone, and no server in reach
  api.forgetToken();
  location.reload();
}

function nameLanguage() {
  const button = find("language");
  button.textContent = say("otherLanguage");
  button.lang = document.documentElement.lang === "ja" ? "en" : "ja";
}

function show(signedIn) {
  find("sign-in").hidden = signedIn;
  for (const id of ["talk", "asking", "leave", "earlier", "new"]) find(id).hidden = !signedIn;
  find("subject").textContent = signedIn ? api.subject() : "";
  (signedIn ? box : firstField()).focus();
  if (signedIn) offerOffice();
}

/** A way to the other page, for whom there is something on it. */
async function offerOffice() {
  try {
    const { rights } = await api.me();
    find("office").hidden = !["curate", "operate", "audit"].some((right) => rights.includes(right));
  } catch (error) {
    if (!(error instanceof api.Refusal)) throw error; // the first question will say what is wrong
  }
}

async function signIn(event) {
  event.preventDefault();
  api.keepToken(find("token").value);
  find("token").value = "";
  try {
    await api.checkToken();
    find("sign-in-notice").hidden = true;
    show(true);
  } catch (error) {
    if (!(error instanceof api.Refusal)) throw error;
    api.forgetToken();
    refuseSignIn(error.status === 401 ? "signInFailed" : "unreachable");
  }
}

function refuseSignIn(words) {
  const notice = find("sign-in-notice");
  notice.replaceChildren(element("span", { words }));
  notice.hidden = false;
}

/** Enter sends, unless it only confirms a conversion of the input method. */
function sendOnEnter(event) {
  const converting = event.isComposing || event.keyCode === 229;
  if (event.key !== "Enter" || event.shiftKey || converting) return;
  event.preventDefault();
  submit();
}

function submit() {
  const question = box.value.trim();
  if (!question || running) return;
  box.value = "";
  answer(question);
}

async function answer(question) {
  const exchange = newExchange(question);
  setRunning(new AbortController());
  status("searching");
  try {
    await write(exchange, question);
    status("done");
  } catch (error) {
    if (error.name === "AbortError") exchange.note("stopped");
    else if (error instanceof api.Refusal) refuse(exchange, question, error);
    else throw error;
    status(null);
  } finally {
    exchange.article.setAttribute("aria-busy", "false");
    setRunning(null);
  }
}

async function write(exchange, question) {
  const messages = [...said.slice(-REMEMBERED), { role: "user", content: question }];
  let text = "";
  conversation ??= await api.beginConversation();
  for await (const piece of api.ask(messages, conversation, chosenScope(), running.signal)) {
    if (piece.text) {
      if (!text) status("writing");
      text += piece.text;
      exchange.text.append(piece.text);
      follow(exchange.text);
    }
    if (piece.sources) finish(exchange, question, text, piece.sources);
  }
  remember(question, text);
}

const remember = (question, text) =>
  said.push({ role: "user", content: question }, { role: "assistant", content: text });

function startAfresh() {
  [said, conversation] = [[], null];
  find("log").replaceChildren();
  find("welcome").hidden = false;
  status(null);
  closeShelf();
  box.focus();
}

/** Show a kept conversation, and go on with it. */
function readAgain(id, exchanges) {
  startAfresh();
  conversation = id;
  for (const { question, answer } of exchanges) {
    const exchange = newExchange(question);
    exchange.article.setAttribute("aria-busy", "false");
    if (!answer) {
      exchange.note("forgotten");
      continue;
    }
    finish(exchange, question, answer.text, answer.kiban);
    remember(question, answer.text);
  }
}

function forgotten(id) {
  if (id === conversation) startAfresh();
}

/** Replace the streamed text by the same text with its citations, and set the sources beside it. */
function finish(exchange, question, text, sources) {
  const { list, open, standing } = sourceList(sources);
  exchange.text.replaceChildren(...proven(text, sources.citations, open));
  if (sources.abstained) {
    exchange.article.classList.add("abstained");
    exchange.note(sources.passages.length ? "abstained" : "nothingFound");
  } else if (!sources.citations.length && !sources.failed) exchange.note("unproven");
  if (sources.refused_quotes) exchange.note("refused", sources.refused_quotes);
  exchange.body.append(element("p", { className: "release", words: "release", values: [sources.release] }));
  exchange.body.append(element("div", { className: "actions" }, copyButton(text, sources), feedbackLine(question, text, sources)));
  if (list) exchange.article.append(list);
  standing.then((known) => warnOfStale(exchange, sources.citations, known));
}

/** Say under the answer that something it quotes may not be the latest word. */
function warnOfStale(exchange, citations, known) {
  const stale = citations.filter(({ document_id }) => known.get(document_id)?.stale.length);
  const numbers = [...new Set(stale.map(({ number }) => number))];
  if (numbers.length) exchange.text.after(element("p", { className: "stale", words: "staleCited", values: [numbers.join("・")] }));
}

function newExchange(question) {
  find("welcome").hidden = true;
  const text = element("p", { className: "text" });
  const body = element("div", { className: "answer" }, text);
  const heading = element("h2", { className: "asked", textContent: question });
  const article = element("article", { className: "exchange" }, heading, body);
  article.setAttribute("aria-busy", "true"); // screen readers wait for the whole answer
  find("log").append(article);
  heading.scrollIntoView({ block: "start" });
  const note = (words, ...values) => body.append(element("p", { className: "note", words, values }));
  return { article, body, text, note };
}

function refuse(exchange, question, error) {
  if (error.status === 401) {
    api.forgetToken();
    show(false);
    refuseSignIn("signInFailed");
    return;
  }
  const again = element("button", { type: "button", className: "plain", words: "again" });
  again.addEventListener("click", () => { if (!running) { exchange.article.remove(); answer(question); } });
  const words = error.status ? { words: "failed", values: [error.message] } : { words: "unreachable" };
  const notice = element("div", { className: "notice" }, element("p", words), again);
  notice.setAttribute("role", "alert");
  exchange.body.append(notice);
}

function setRunning(controller) {
  running = controller;
  find("send").hidden = controller !== null;
  find("stop").hidden = controller === null;
}

function status(words) {
  find("status").replaceChildren(...(words ? [element("span", { words })] : []));
}

/** Keep the last line in sight, unless the reader has scrolled away from it. */
function follow(text) {
  const hidden = text.getBoundingClientRect().bottom - find("asking").getBoundingClientRect().top;
  if (hidden > 0 && hidden < 200) window.scrollBy(0, hidden);
}
