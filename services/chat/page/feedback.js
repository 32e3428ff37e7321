// What a reader says of an answer: a thumb, a place confirmed, or what it should have said and why.

import { giveFeedback, Refusal } from "./api.js";
import { element } from "./element.js";

/** The line under an answer. What is sent names the question, the answer as shown, and its release. */
export function feedbackLine(question, answer, sources) {
  const line = element("div", { className: "feedback" });
  const about = { question, answer, release: sources.release };
  const up = element("button", { type: "button", className: "plain", words: "useful" });
  const down = element("button", { type: "button", className: "plain", words: "wrong" });
  up.addEventListener("click", async () => {
    if (await sent(line, { ...about, rating: "up" })) thank(line, confirmButton(line, about, sources.citations[0]));
  });
  down.addEventListener("click", () => {
    const form = correctionForm(line, about, sources.passages);
    line.replaceChildren(form);
    form.querySelector("input").focus();
  });
  line.append(up, down);
  return line;
}

/** A button for who has looked the quotation up; null where nothing is cited. */
function confirmButton(line, about, citation) {
  if (!citation) return null;
  const button = element("button", { type: "button", className: "plain", words: "confirm", values: [citation.number] });
  button.addEventListener("click", async () => {
    const evidence = { document_id: citation.document_id, quote: citation.quote };
    if (await sent(line, { ...about, rating: "up", evidence })) thank(line, null);
  });
  return button;
}

function correctionForm(line, about, passages) {
  const should = element("input", { type: "text", maxLength: 2000 });
  const where = element("select", {}, ...passages.map(option));
  const quote = element("textarea", { rows: 2, maxLength: 2000 });
  const send = element("button", { type: "submit", className: "strong", words: "send_feedback" });
  const form = element("form", {}, labelled("should", should), passages.length ? labelled("where", where) : null,
    passages.length ? labelled("stands", quote) : null, send);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = { ...about, rating: "down", correction: should.value.trim() };
    if (quote.value.trim()) said.evidence = { document_id: Number(where.value), quote: quote.value.trim() };
    if (await sent(line, said)) thank(line, null);
  });
  return form;
}

function option(passage) {
  const title = passage.title || passage.uri;
  return element("option", { value: passage.document_id, textContent: `${passage.number}. ${title}` });
}

function labelled(words, field) {
  return element("label", {}, element("span", { words }), field);
}

function thank(line, more) {
  line.replaceChildren(element("p", { className: "note", words: "thanks" }), ...(more ? [more] : []));
}

/** Send it; say under the line why it was not taken. */
async function sent(line, feedback) {
  try {
    await giveFeedback(feedback);
    return true;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const words = error.status === 422 ? "notThere" : "unreachable";
    const notice = element("p", { className: "note", words });
    notice.setAttribute("role", "alert");
    line.querySelector("[role=alert]")?.remove();
    line.append(notice);
    return false;
  }
}
