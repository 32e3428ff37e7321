// The record of answers, and what one of them was made from. Askers and questions are keyed hashes.

import { office } from "../api.js";
import { element } from "../element.js";
import { badge, code, empty, link, outcome, table, time } from "./pieces.js";

/** `rest` is the number of an answer, or "before-N" for older ones. */
export async function answers(rest) {
  if (/^\d+$/.test(rest)) return lineage(rest);
  const before = /^before-(\d+)$/.exec(rest)?.[1];
  const { data } = await office(`/answers${before ? `?before=${before}` : ""}`);
  if (!data.length) return [empty("noAnswers")];
  const older = link(`#answers/before-${data.at(-1).seq}`, element("span", { words: "older" }));
  const columns = ["colNumber", "colWhen", "colEnding", "colPassages", "colCitations", "colSeconds", "colRelease", "colAsker"];
  return [element("p", { className: "note", words: "howAnswers" }), table("view_answers", columns, data.map(row)),
    data.at(-1).seq > 1 ? element("p", {}, older) : ""];
}

function row({ seq, at, ending, passages, citations, milliseconds, release, asker }) {
  return [link(`#answers/${seq}`, String(seq)), time(at), ended(ending), String(passages), String(citations),
    (milliseconds / 1000).toFixed(1), code(release), code(asker.slice(0, 8))];
}

const ended = (ending) => badge({ answered: "good", failed: "bad" }[ending] ?? "plainly", `ending_${ending}`);

async function lineage(seq) {
  const found = await office(`/answers/${seq}`);
  const { release } = found;
  return [
    element("p", {}, link("#answers", element("span", { words: "allAnswers" }))),
    element("h3", { words: "answerNumber", values: [found.seq] }),
    element("p", { className: "row" }, ended(found.ending), time(found.at),
      element("span", { words: "quoted", values: [found.citations, found.refused_quotes] })),
    element("ol", { className: "chain" },
      step("madeFrom", found.shown.length ? table("madeFrom", ["colDocument", "colVersion", "colPassage"], found.shown.map(passage)) : empty("noPassages")),
      step("writtenBy", release ? parts(release) : empty("releaseUnknown")),
      step("earnedBy", found.candidates.length ? judged(found.candidates) : empty("nothingLearnt"))),
  ];
}

const step = (words, ...said) => element("li", {}, element("h4", { words }), ...said);

function passage({ document_id, version, chunk_id, document }) {
  const named = document
    ? link(`#documents/${document_id}`, element("span", { className: "title", textContent: document.title || document.uri }),
        element("span", { className: "uri", textContent: document.uri }))
    : element("span", { words: "notForYou" });
  const newer = document && document.version_now > version ? badge("plainly", "nowVersion", document.version_now) : "";
  return [named, element("span", {}, `${version} `, newer), String(chunk_id)];
}

function parts({ id, llm, adapter, zones, embedder_sha256, reranker_sha256, generation, prompt_version }) {
  const adapters = [adapter, ...zones.map((zone) => zone.adapter)].filter(Boolean);
  const rows = [
    ["colRelease", link(`#releases/${id}`, code(id))], ["partModel", llm], ["colAdapters", adapters.join("、") || "–"],
    ["partEmbedder", code(embedder_sha256.slice(0, 12))], ["partReranker", reranker_sha256 ? code(reranker_sha256.slice(0, 12)) : "–"],
    ["partGeneration", String(generation)], ["partPrompt", prompt_version],
  ];
  return element("dl", { className: "pairs" }, ...rows.flatMap(([words, said]) => [element("dt", { words }), element("dd", {}, said)]));
}

function judged(candidates) {
  return element("p", { className: "row" }, ...candidates.map(({ candidate, verdict }) =>
    link(`#candidates/${candidate}`, code(candidate), outcome(verdict?.outcome))));
}
