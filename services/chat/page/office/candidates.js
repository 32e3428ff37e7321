// Candidates and what the gate said of each: arms, paired tests, audits.

import { office } from "../api.js";
import { element } from "../element.js";
import { chart } from "./chart.js";
import { code, empty, outcome, outside, percent, sentence, table } from "./pieces.js";

/** `rest` is the id of a candidate to open; without it, the newest is open. */
export async function candidates(rest) {
  const [{ data }, { mlflow }] = await Promise.all([office("/candidates"), office()]);
  if (!data.length) return [empty("noCandidates")];
  const open = data.some(({ candidate }) => candidate === rest) ? rest : data[0].candidate;
  return data.map((one) => card(one, one.candidate === open, mlflow));
}

function card({ candidate, zone, documents, parts, registered, verdict }, open, mlflow) {
  const summary = element("summary", {}, code(candidate), outcome(verdict?.outcome),
    element("span", { words: zone === "everyone" ? "forEveryone" : "forZone", values: [zone] }));
  const facts = element("p", { className: "row" }, element("span", { words: "taughtBy", values: [documents] }),
    ...parts.map((part) => element("span", { words: `part_${part}` })), ...registered.map((version) => inRegistry(mlflow, version)));
  const told = verdict ? [chart(verdict), tests(verdict)] : [empty("notJudged")];
  return element("details", { className: "card", open }, summary, facts, ...told);
}

function inRegistry(mlflow, version) {
  const [name, number] = version.split("/");
  return outside(`${mlflow}/#/models/${encodeURIComponent(name)}/versions/${number}`, "inMlflow", version);
}

function tests({ comparisons, names }) {
  const rows = comparisons.map((one) => [
    inZone(one, sentence({ ja: names.ja[one.measure] ?? one.measure, en: names.en[one.measure] ?? one.measure })),
    element("span", { words: `role_${one.role}` }),
    `${level(one, one.old)}\u00a0→ ${level(one, one.new)}`,
    `${number(one.low)}\u00a0… ${number(one.high)}`,
    one.p < 0.001 ? "<\u00a00.001" : one.p.toFixed(3),
    String(one.questions),
    outcome(one.outcome),
    sentence(one.says),
  ]);
  return table("testsTitle", ["colMeasure", "colRole", "colChange", "colInterval", "colP", "colQuestions", "colVerdict", "colMeaning"], rows);
}

function inZone({ zone }, measure) {
  return zone === "everyone" ? measure : element("span", {}, measure, element("small", { words: "forZone", values: [zone] }));
}

const SHARES = new Set(["correct", "cited", "abstained", "over_abstained", "told_restricted", "faster"]);
const UNITS = { seconds: "\u00a0s" };
const level = ({ measure }, value) =>
  SHARES.has(measure) ? percent(Math.abs(value)) : `${number(value, 3)}${UNITS[measure] ?? ""}`;

/** With its own minus sign, and digits enough to tell it from nothing. */
function number(value, digits = 2) {
  return value.toFixed(value && Math.abs(value) < 0.01 ? 3 : digits).replace("-", "−");
}
