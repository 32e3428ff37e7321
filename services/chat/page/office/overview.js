// The house at a glance.

import { office } from "../api.js";
import { element } from "../element.js";
import { code, empty, link, outside, state, table, time } from "./pieces.js";

export async function overview() {
  const { states, sources, in_force, prefect, mlflow } = await office();
  const counted = Object.entries(states).sort(([, one], [, other]) => other - one);
  return [
    element("div", { className: "tiles" }, ...counted.map(tile)),
    element("p", { className: "row" }, element("span", { words: "inForce" }), in_force ? code(in_force) : element("span", { words: "notFounded" })),
    element("p", { className: "row" }, outside(prefect, "toPrefect"), outside(mlflow, "toMlflow")),
    element("h3", { words: "sourcesTitle" }),
    sources.length ? table("sourcesTitle", ["colSource", "colKind", "colDocuments", "colListed", "colTrouble"], sources.map(row)) : empty("noSources"),
  ];
}

function tile([name, count]) {
  const number = element("strong", { textContent: count.toLocaleString() });
  return link(`#documents/${name}`, number, state(name));
}

function row({ name, kind, states, listed, last_error }) {
  const documents = Object.values(states).reduce((sum, count) => sum + count, 0);
  return [element("span", { className: "uri", textContent: name }), kind, documents.toLocaleString(), time(listed),
    last_error ? element("span", { className: "trouble", textContent: last_error }) : element("span", { words: "noTrouble" })];
}
