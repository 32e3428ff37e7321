// Answers and sources as elements. Whatever a model or a document says becomes text nodes, never markup.

import { openDocument, Refusal } from "./api.js";
import { hasPage, pageView, reasons, staleNotices, tellStanding } from "./beside.js";
import { element } from "./element.js";

const CONTEXT = 36; // letters shown before and after a quotation while its card is closed
const UNFOLDED = 2; // cards shown when nothing is cited

/** The finished text, its proven quotations marked and their numbers turned into buttons. */
export function proven(text, citations, open) {
  const parts = [];
  let from = 0;
  for (const citation of citations) {
    const at = whereCited(text, citation, from);
    if (at < 0) continue;
    const end = at + citation.quote.length + 1; // with its closing mark
    parts.push(text.slice(from, at - 1), element("q", { textContent: text.slice(at - 1, end) }));
    parts.push(citationButton(citation, open));
    from = end + `[${citation.number}]`.length;
  }
  return [...parts, text.slice(from)];
}

function whereCited(text, { quote, number }, from) {
  const [shown, wanted] = [text, quote].map(asciiSigns);
  for (let at = shown.indexOf(wanted, from); at >= 0; at = shown.indexOf(wanted, at + 1)) {
    if (text.startsWith(`[${number}]`, at + quote.length + 1)) return at;
  }
  return -1;
}

/** What begins a link or a tag is full-width in an answer, and as in the document in a quotation. */
function asciiSigns(text) {
  return text.replace(/[！＆（．：＜]/g, (sign) => String.fromCharCode(sign.charCodeAt(0) - 0xfee0));
}

function citationButton(citation, open) {
  const { number } = citation;
  const button = element("button", { type: "button", className: "cite", textContent: number, name: "cite", values: [number] });
  button.addEventListener("click", () => open(citation));
  return button;
}

/** The sources beside an answer: cited ones as cards, the rest folded away. */
export function sourceList({ passages, citations, abstained }) {
  if (!passages.length) return { list: null, open: () => {}, standing: Promise.resolve(new Map()) };
  const cards = new Map();
  for (const passage of passages) {
    cards.set(passage.number, card(passage, citations.filter(({ number }) => number === passage.number)));
  }
  const cited = passages.filter(({ number }) => citations.some((citation) => citation.number === number));
  const rest = passages.filter((passage) => !cited.includes(passage));
  const list = element("aside", { className: "sources" });
  const main = cited.length ? cited : rest.splice(0, UNFOLDED);
  const heading = abstained ? "nearest" : cited.length ? "sources" : "found";
  list.append(element("h3", { words: heading }), cardList(main, cards));
  if (rest.length) {
    const summary = element("summary", { words: "others", values: [rest.length] });
    list.append(element("details", {}, summary, cardList(rest, cards)));
  }
  const open = (citation) => cards.get(citation.number)?.open(citation);
  return { list, open, standing: tellStanding(passages, cards.values()) };
}

function cardList(passages, cards) {
  return element("ol", {}, ...passages.map(({ number }) => cards.get(number).item));
}

function card(passage, citations) {
  const excerpt = element("p", { className: "excerpt" });
  const more = element("div", { className: "more", hidden: true });
  const head = element(
    "button",
    { type: "button", className: "head" },
    element("span", { className: "number", textContent: passage.number }),
    element("span", { className: "title", textContent: passage.title || passage.uri }),
    element("span", { className: "place" }, ...place(passage)),
  );
  const stale = element("div", { className: "stale-here" });
  const why = element("div", {}, reasons(passage, null));
  const shown = hasPage(passage) ? pageButton(passage, citations[0]) : null;
  more.append(...[shown?.button, aroundButton(passage, citations, excerpt), why].filter(Boolean));
  const item = element("li", { className: citations.length ? "source cited" : "source" }, head, excerpt, more);
  if (citations.length) excerpt.before(stale);
  else more.append(stale);

  const unfold = (unfolded, lit = null) => {
    head.setAttribute("aria-expanded", String(unfolded));
    more.hidden = !unfolded;
    excerpt.replaceChildren(...marked(passage, citations, lit, unfolded));
  };
  head.addEventListener("click", () => unfold(more.hidden));
  unfold(false);
  const open = (citation) => {
    unfold(true, citation);
    shown?.show(citation);
    reveal(item, head);
  };
  const tell = (stands) => {
    stale.replaceChildren(...staleNotices(stands));
    why.replaceChildren(reasons(passage, stands));
  };
  return { item, passage, open, tell };
}

/** A button whose place the drawn page takes, with whichever quotation was asked for last marked on it. */
function pageButton(passage, first) {
  const button = element("button", { type: "button", className: "plain", words: "showPage", values: [passage.place.page] });
  let stands = button;
  const show = (citation) => {
    const page = pageView(passage, citation);
    stands.replaceWith(page);
    stands = page;
  };
  button.addEventListener("click", () => show(first));
  return { button, show };
}

function reveal(item, head) {
  item.closest("details")?.setAttribute("open", "");
  head.focus({ preventScroll: true });
  item.scrollIntoView({ block: "nearest" });
}

function place({ place: { page, sheet, slide, heading } }) {
  const parts = [];
  if (page !== null) parts.push(element("span", { words: "page", values: [page] }));
  if (sheet !== null) parts.push(element("span", { words: "sheet", values: [sheet] }));
  if (slide !== null) parts.push(element("span", { words: "slide", values: [slide] }));
  if (heading) parts.push(element("span", { textContent: heading.replaceAll(" > ", " › ") }));
  return parts;
}

/** A passage's text with its quotations marked; folded, only what surrounds the first one. */
function marked(passage, citations, lit, unfolded) {
  const letters = [...passage.text]; // spans count characters, JavaScript counts UTF-16 units
  const [start] = passage.span;
  const spans = citations
    .map((citation) => ({ from: citation.span[0] - start, to: citation.span[1] - start, citation }))
    .filter((span) => span.from >= 0 && span.to <= letters.length)
    .sort((one, other) => one.from - other.from);
  const [from, to] = unfolded ? [0, letters.length] : window_(spans[0], letters.length);
  const nodes = from > 0 ? ["…"] : [];
  let at = from;
  for (const span of spans) {
    if (span.from < at || span.to > to) continue; // overlaps one that is marked, or lies behind the fold
    nodes.push(letters.slice(at, span.from).join(""));
    const mark = element("mark", { textContent: letters.slice(span.from, span.to).join("") });
    mark.classList.toggle("lit", lit !== null && span.citation === lit);
    nodes.push(mark);
    at = span.to;
  }
  nodes.push(letters.slice(at, to).join(""));
  return to < letters.length ? [...nodes, "…"] : nodes;
}

function window_(span, length) {
  if (!span) return [0, Math.min(length, 2 * CONTEXT)];
  return [Math.max(0, span.from - CONTEXT), Math.min(length, span.to + CONTEXT)];
}

/** A button that puts, in place of the excerpt, the document around it as it is now. */
function aroundButton(passage, citations, excerpt) {
  const [start, end] = citations[0]?.span ?? passage.span;
  const button = element("button", { type: "button", className: "plain", words: "around" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const found = await openDocument(passage.document_id, start, end);
      const changed = found.version !== passage.version;
      const notice = changed ? element("p", { className: "note", words: "changed" }) : null;
      const sections = found.passages.map((near) => section(near, changed ? [] : citations));
      button.replaceWith(element("div", { className: "around" }, notice, ...sections));
      excerpt.remove();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      button.replaceWith(element("p", { className: "note", words: error.status === 404 ? "gone" : "unreachable" }));
    }
  });
  return button;
}

function section(passage, citations) {
  const text = element("p", {}, ...marked(passage, citations, null, true));
  return element("section", {}, element("h4", {}, ...place(passage)), text);
}
