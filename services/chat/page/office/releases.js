// The ledger: which release answered from when on, by whose word, and on what evidence.

import { office } from "../api.js";
import { element } from "../element.js";
import { chart } from "./chart.js";
import { badge, code, empty, link, outcome, table, time } from "./pieces.js";

const LONG = 200; // letters of a reason

/** `rest` is the id of a release to point at. */
export async function releases(rest) {
  const [{ data: lines }, { data: judged }] = await Promise.all([office("/releases"), office("/candidates")]);
  if (!lines.length) return [empty("noReleases")];
  const verdicts = new Map(judged.map((one) => [one.candidate, one]));
  const newest = lines.map(({ candidate }) => verdicts.get(candidate)).find((one) => one?.verdict);
  const rows = table("view_releases", ["colWhen", "colAction", "colRelease", "colAdapters", "colWhy", "colVerdict"],
    lines.map((line) => row(line, verdicts.get(line.candidate), rest)));
  if (!newest) return [rows];
  return [element("h3", { words: "lastEvidence" }), chart(newest.verdict), rows];
}

function row({ at, actor, action, share, reason, release, tainted, candidate }, judged, chosen) {
  const adapters = [release.adapter, ...release.zones.map((zone) => `${zone.label}: ${zone.adapter}`)].filter(Boolean);
  const named = element("span", {}, code(release.id), tainted ? badge("bad", "withdrawn") : "");
  named.classList.toggle("chosen", release.id === chosen);
  return [
    time(at),
    element("span", {}, element("span", { words: `action_${action.replace(" ", "_")}` }), share < 100 ? ` (${share} %)` : "",
      element("span", { className: "uri", textContent: actor })),
    named,
    adapters.length ? element("span", { className: "uri", textContent: adapters.join("、") }) : "–",
    why(reason),
    judged ? link(`#candidates/${candidate}`, outcome(judged.verdict?.outcome)) : "–",
  ];
}

/** A reason as the ledger has it. The gate's are long: their first sentence, and the rest for who asks. */
function why(reason) {
  const end = reason.indexOf(". ");
  if (end < 0 || reason.length < LONG) return reason;
  const summary = element("summary", { textContent: reason.slice(0, end + 1) });
  return element("details", {}, summary, element("p", { textContent: reason.slice(end + 2) }));
}
