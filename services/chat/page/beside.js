// What stands beside a source: why it was found, how fresh it is, who reads it, and the page it is on.

import { drawnPage, Refusal, standing } from "./api.js";
import { element } from "./element.js";
import { say } from "./words.js";

/** Ask once how the documents of an answer stand, and tell every card of theirs. Without an answer they stay
 * silent: what is known of the answer itself is shown already. */
export async function tellStanding(passages, cards) {
  const ids = [...new Set(passages.map((passage) => passage.document_id))];
  try {
    const known = new Map((await standing(ids)).map((one) => [one.document_id, one]));
    for (const card of cards) {
      if (known.has(card.passage.document_id)) card.tell(known.get(card.passage.document_id));
    }
    return known;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return new Map();
  }
}

/** Why a passage is shown, as pairs of a name and words; `stands` is null while it is not known. */
export function reasons(passage, stands) {
  const rows = [];
  const lanes = (passage.why ?? []).map(lane);
  if (lanes.length) rows.push(row("whyFound", ...lanes));
  if (stands) {
    rows.push(row("whyModified", modified(stands)));
    rows.push(row("whyReaders", readers(stands.readers)));
  }
  const version = element("span", { words: "version", values: [passage.version] });
  rows.push(row("whyDocument", element("span", { className: "uri", textContent: passage.uri }), version));
  return element("dl", { className: "why" }, ...rows.flat());
}

/** Notices about a document that may not be the latest word; none for a fresh one. */
export function staleNotices(stands) {
  return stands.stale.map((why) => {
    const at = why === "old" ? stands.modified : stands.listed;
    return element("p", { className: "stale", words: `stale_${why}`, values: [at ?? ""] });
  });
}

function row(name, ...said) {
  return [element("dt", { words: name }), element("dd", {}, ...said)];
}

/** A lane's name may say how the question was read: "dense, in context". */
function lane({ lane, rank }) {
  const [name, reading] = lane.split(", ");
  const words = say(`lane_${name}`) ? `lane_${name}` : "lane_other";
  const said = element("span", { words, values: [rank] });
  return reading ? element("span", {}, said, element("span", { words: `reading_${reading.replace(" ", "_")}` })) : said;
}

function modified({ modified }) {
  if (!modified) return element("span", { words: "undated" });
  return element("time", { dateTime: modified, words: "onDay", values: [modified] });
}

function readers({ everyone, yours, others }) {
  if (everyone) return element("span", { words: "readEveryone" });
  if (!yours.length) return element("span", { words: "readOthers", values: [others] });
  return element("span", { words: others ? "readYoursAndOthers" : "readYours", values: [yours.join("・"), others] });
}

/** Tell whether a passage stands on a page that can be drawn. */
export const hasPage = ({ uri, place }) => place.page !== null && /\.pdf$/i.test(uri);

/** The page a passage stands on, drawn by the server with a quotation marked, in a frame that fills itself. */
export function pageView(passage, citation) {
  const frame = element("div", { className: "page", role: "group" }, element("p", { className: "note", words: "drawing" }));
  draw(frame, passage, citation?.span ?? [passage.span[0], passage.span[0]]);
  return frame;
}

async function draw(frame, passage, span) {
  const { title, uri, place } = passage;
  try {
    const picture = await createImageBitmap(await drawnPage(passage, place.page, span));
    const canvas = paint(picture, [title || uri, place.page]);
    const seen = element("div", { className: "seen", tabIndex: 0, name: "pageOf", values: [title || uri, place.page] }, canvas);
    seen.setAttribute("role", "region");
    const larger = element("button", { type: "button", className: "plain", words: "larger" });
    larger.addEventListener("click", () => enlarge(picture, [title || uri, place.page]));
    frame.replaceChildren(seen, larger);
    scrollTo_(seen, markedIn(canvas));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    frame.replaceChildren(element("p", { className: "note", words: error.status === 404 ? "noPage" : "unreachable" }));
  }
}

/** On a canvas, for which the page's policy needs to allow no address. */
function paint(picture, values) {
  const canvas = element("canvas", { width: picture.width, height: picture.height, name: "pageOf", values });
  canvas.setAttribute("role", "img");
  canvas.getContext("2d").drawImage(picture, 0, 0);
  return canvas;
}

/** Where on the page the first marked paper is, as shares of its width and height: nothing else in a page of
 * print is that yellow. The top, when nothing is marked. */
function markedIn(canvas) {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  for (let at = 0; at < data.length; at += 4) {
    if (data[at] > 240 && data[at + 1] > 200 && data[at + 2] < 160) {
      return { x: ((at / 4) % width) / width, y: Math.floor(at / 4 / width) / height };
    }
  }
  return { x: 0, y: 0 };
}

function scrollTo_(seen, { x, y }) {
  seen.scrollLeft = x * seen.scrollWidth - 24;
  seen.scrollTop = y * seen.scrollHeight - seen.clientHeight / 3;
}

function enlarge(picture, values) {
  const close = element("button", { type: "button", className: "strong", words: "close" });
  const dialog = element("dialog", { className: "large", name: "pageOf", values }, close, paint(picture, values));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
