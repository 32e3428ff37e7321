// What readers corrected or confirmed, waiting for two curators.

import * as api from "../api.js";
import { element } from "../element.js";
import { badge, empty, time } from "./pieces.js";

const APPROVERS = 2;

export async function feedback(rest, again) {
  const waiting = await api.feedbackWaiting();
  const explained = element("p", { className: "note", words: "howFeedback", values: [APPROVERS] });
  if (!waiting.length) return [explained, empty("noFeedback")];
  const titles = await titlesOf(waiting);
  return [explained, ...waiting.map((one) => card(one, titles, again))];
}

/** What the documents quoted are called, for those of them one may open. */
async function titlesOf(waiting) {
  const ids = [...new Set(waiting.map(({ evidence }) => evidence.document_id))].slice(0, 50);
  try {
    return new Map((await api.standing(ids)).map((one) => [one.document_id, one.title || one.uri]));
  } catch (error) {
    if (!(error instanceof api.Refusal)) throw error;
    return new Map(); // a curator need not be a reader
  }
}

function card(one, titles, again) {
  const { author, at, rating, question, answer, correction, comment, evidence, decisions } = one;
  const by = element("p", { className: "row" }, badge(rating === "up" ? "good" : "plainly", rating === "up" ? "confirmed" : "corrected"),
    element("span", { textContent: author }), time(at), ...decisions.map(vouched));
  const where = titles.get(evidence.document_id) ?? `#${evidence.document_id}`;
  return element("article", { className: "card" },
    element("h3", { textContent: question }), by,
    pairs([
      ["wasAnswered", element("span", { className: "long", textContent: answer })],
      correction && ["shouldSay", element("strong", { textContent: correction })],
      ["becauseThere", element("q", { textContent: evidence.quote })],
      ["inDocument", element("span", {}, where, " ", element("span", { words: "version", values: [evidence.version] }))],
      comment && ["comment", element("span", { textContent: comment })],
    ]),
    decision(one, again));
}

function pairs(rows) {
  return element("dl", { className: "pairs" },
    ...rows.filter(Boolean).flatMap(([words, said]) => [element("dt", { words }), element("dd", {}, said)]));
}

const vouched = ({ curator, approves }) => badge(approves ? "good" : "bad", approves ? "approvedBy" : "refusedBy", curator);

/** Whoever gave the feedback cannot vouch for it; whoever has vouched may change their mind. */
function decision({ id, author, question, decisions }, again) {
  const me = api.subject();
  if (author === me) return element("p", { className: "note", words: "yourOwn" });
  const mine = decisions.find(({ curator }) => curator === me);
  const reason = element("input", { type: "text", maxLength: 2000, value: mine?.reason ?? "" });
  const approve = element("button", { type: "submit", className: "strong", words: "approve", name: "approveThis", values: [question] });
  const refuse = element("button", { type: "button", className: "plain", words: "refuse", name: "refuseThis", values: [question] });
  const form = element("form", { className: "decision" }, element("label", {}, element("span", { words: "reason" }), reason), approve, refuse);
  const decide = (approves) => send(form, () => api.decideFeedback(id, approves, reason.value.trim()), again);
  form.addEventListener("submit", (event) => { event.preventDefault(); decide(true); });
  refuse.addEventListener("click", () => decide(false));
  return form;
}

async function send(form, work, again) {
  try {
    const decided = await work();
    const words = decided.refused ? "nowRefused" : decided.approved ? "nowApproved" : "nowWaiting";
    const told = element("p", { className: "note", words });
    told.setAttribute("role", "status");
    form.replaceWith(told);
    if (words === "nowWaiting") await again();
  } catch (error) {
    if (!(error instanceof api.Refusal)) throw error;
    const notice = element("p", { className: "trouble", words: error.status ? "couldNot" : "unreachable", values: error.status ? [error.message] : [] });
    notice.setAttribute("role", "alert");
    form.querySelector("[role=alert]")?.remove();
    form.append(notice);
  }
}
