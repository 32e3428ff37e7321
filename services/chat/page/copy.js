// An answer taken along, with its sources: as plain text, which every program takes.

import { element } from "./element.js";
import { say } from "./words.js";

export function copyButton(text, { citations }) {
  const button = element("button", { type: "button", className: "plain", words: "copy" });
  button.addEventListener("click", async () => {
    const words = (await written(withSources(text, citations))) ? "copied" : "notCopied";
    button.replaceChildren(element("span", { words }));
    button.setAttribute("aria-live", "polite");
  });
  return button;
}

function withSources(text, citations) {
  if (!citations.length) return text;
  const lines = citations.map((citation) => `[${citation.number}] ${about(citation)}\n    「${citation.quote}」`);
  return `${text}\n\n${say("sources")}\n${lines.join("\n")}\n`;
}

function about({ title, uri, version, place: { page, sheet, slide, heading } }) {
  const where = [
    page === null ? "" : say("page", page),
    sheet === null ? "" : say("sheet", sheet),
    slide === null ? "" : say("slide", slide),
    heading,
    say("version", version),
  ];
  return `${title || uri} (${where.filter(Boolean).join(", ")}) ${uri}`;
}

/** Browsers offer their clipboard to pages that came over TLS or from this machine; others copy a selection. */
async function written(text) {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(() => true, () => false);
  }
  const field = element("textarea", { value: text, className: "unseen" });
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  return copied;
}
