// Documents by state, with reasons; and where one document went.

import { office } from "../api.js";
import { element } from "../element.js";
import { badge, code, empty, link, state, table, time } from "./pieces.js";

const STATES = ["", "waiting", "reading", "ready", "failed", "dead"];

/** `rest` is a state, or the number of a document. */
export async function documents(rest) {
  if (/^\d+$/.test(rest)) return lineage(rest);
  const chosen = STATES.includes(rest) ? rest : "";
  const { data, others } = await office(`/documents${chosen && `?state=${chosen}`}`);
  const shown = data.length
    ? table("view_documents", ["colDocument", "colState", "colSince", "colReason"], data.map(row))
    : empty("noDocuments");
  return [filter(chosen), shown, others ? element("p", { className: "note", words: "othersHidden", values: [others] }) : ""];
}

function filter(chosen) {
  const links = STATES.map((name) => {
    const made = link(`#documents/${name}`, element("span", { words: name ? `state_${name}` : "anything" }));
    if (name === chosen) made.setAttribute("aria-current", "true");
    return made;
  });
  const nav = element("nav", { className: "filter", name: "byState" }, ...links);
  return nav;
}

function row(document) {
  return [title(document), state(document.state), time(document.since), document.reason];
}

const title = ({ document_id, title, uri }) =>
  link(`#documents/${document_id}`, element("span", { className: "title", textContent: title || uri }),
    element("span", { className: "uri", textContent: uri }));

async function lineage(id) {
  const { document, learnt, in_force } = await office(`/documents/${id}`);
  return [
    element("p", {}, link("#documents", element("span", { words: "allDocuments" }))),
    element("h3", { textContent: document.title || document.uri }),
    element("p", { className: "row" }, state(document.state), element("span", { className: "uri", textContent: document.uri }),
      element("span", { words: "version", values: [document.version] })),
    document.reason ? element("p", { className: "trouble", textContent: document.reason }) : "",
    element("p", {}, in_force ? badge("good", "answersNow") : badge("plainly", "answersNotNow")),
    element("h3", { words: "whoLearnt" }),
    learnt.length ? table("whoLearnt", ["colCurriculum", "colVersion", "colCandidates", "colReleases", "colNow"], learnt.map(went)) : empty("nobodyLearnt"),
  ];
}

function went({ curriculum_sha256, version, candidates, releases, tainted }) {
  return [code(curriculum_sha256.slice(0, 12)), String(version), all(candidates, "candidates"), all(releases, "releases"),
    tainted ? badge("bad", "withdrawn") : badge("good", "usable")];
}

function all(ids, view) {
  if (!ids.length) return "–";
  return element("span", {}, ...ids.flatMap((id) => [link(`#${view}/${id}`, code(id)), " "]));
}
