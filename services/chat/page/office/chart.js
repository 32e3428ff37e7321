// Arms side by side, as inline SVG: one panel a measure, one bar an arm.

import { element } from "../element.js";
import { say } from "../words.js";
import { percent, sentence, table } from "./pieces.js";

const NEW = new Set(["adapted+RAG", "other base+RAG"]);
const SPACE = "http://www.w3.org/2000/svg";
const MEASURES = ["correct", "cited", "abstained", "over_abstained"];
const [LABEL, BAR, STEP, TOP, WIDTH] = [150, 200, 26, 30, 410]; // px; a bar as long as 100 % is BAR

/** The chart of a verdict, and below it the same numbers as a table for whoever prefers one. */
export function chart({ arms, names, questions, documents }) {
  const shown = MEASURES.filter((measure) => Object.values(arms).some((means) => measure in means));
  const panels = shown.map((measure) => panel(measure, arms, names));
  const columns = table("chartTable", ["colArm", ...shown.map((measure) => `measure_${measure}`)],
    Object.entries(arms).map(([arm, means]) => [say(`arm_${arm}`) ?? arm, ...shown.map((measure) => told(means[measure]))]));
  return element("figure", { className: "chart" },
    element("figcaption", { words: "chartOf", values: [questions, documents] }),
    element("div", { className: "panels" }, ...panels),
    element("details", {}, element("summary", { words: "asTable" }), columns));
}

const told = (mean) => (mean === undefined ? "–" : percent(mean));

function panel(measure, arms, names) {
  const rows = Object.entries(arms);
  const name = sentence({ ja: names.ja[measure], en: names.en[measure] });
  const words = rows.map(([arm, means]) => `${say(`arm_${arm}`) ?? arm} ${told(means[measure])}`);
  const height = TOP + STEP * rows.length + 4;
  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": `${name}: ${words.join(", ")}` });
  drawn.append(text(0, 14, name, "measure"));
  rows.forEach(([arm, means], place) => drawn.append(...bar(arm, means[measure], TOP + STEP * place)));
  return drawn;
}

function bar(arm, mean, y) {
  const label = text(LABEL - 10, y + 13, say(`arm_${arm}`) ?? arm, "arm");
  const ground = svg("rect", { x: LABEL, y, width: BAR, height: 18, rx: 3, class: "ground" });
  if (mean === undefined) return [label, ground, text(LABEL + BAR + 8, y + 13, "–", "value")];
  const length = Math.max(BAR * mean, 1);
  const filled = svg("rect", { x: LABEL, y, width: length, height: 18, rx: 3, class: NEW.has(arm) ? "ours" : "theirs" });
  return [label, ground, filled, text(LABEL + BAR + 8, y + 13, percent(mean), "value")];
}

function text(x, y, words, kind) {
  const made = svg("text", { x, y, class: kind });
  made.textContent = words;
  return made;
}

function svg(name, attributes) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
