"""From Confluence's storage format to plain HTML.

The rendered views would be easier to read, but they show what macros include from other pages as *we* may
see it: a page would tell its readers what a page they may not read says.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from html.parser import HTMLParser

_DROPPED = frozenset(("ac:parameter", "ac:task-id", "ac:task-status", "ac:task-uuid", "ac:adf-attribute"))
_BLOCKS = frozenset(("ac:structured-macro", "ac:rich-text-body", "ac:layout-cell", "ac:task", "ac:task-body"))


def page_html(title: str, space: str, labels: Sequence[str], storage: str) -> str:
    """Return a small HTML document: title, space and labels, then the body."""
    about = " · ".join(part for part in (space, ", ".join(labels)) if part)
    reader = _Reader()
    reader.feed(storage)
    reader.close()
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><title>{html.escape(title)}</title></head><body>'
        f"<h1>{html.escape(title)}</h1><p>{html.escape(about)}</p>{''.join(reader.out)}</body></html>"
    )


class _Reader(HTMLParser):
    """Keeps HTML's own elements, unwraps Confluence's, and drops the parameters of macros."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self._dropped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _DROPPED:
            self._dropped += 1
        elif not self._dropped:
            self.out.append(_opened(tag, attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._dropped and tag not in _DROPPED:
            self.out.append(_opened(tag, attrs) + ("</div>" if tag in _BLOCKS else ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in _DROPPED:
            self._dropped = max(0, self._dropped - 1)
        elif not self._dropped and tag in _BLOCKS:
            self.out.append("</div>")
        elif not self._dropped and tag == "ac:plain-text-body":
            self.out.append("</pre>")
        elif not self._dropped and ":" not in tag:
            self.out.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._dropped:
            self.out.append(html.escape(data))

    def unknown_decl(self, data: str) -> None:
        if data.startswith("CDATA["):
            self.handle_data(data.removeprefix("CDATA["))


def _opened(tag: str, attrs: list[tuple[str, str | None]]) -> str:
    if tag in _BLOCKS:
        return "<div>"
    if tag == "ac:plain-text-body":
        return "<pre>"
    if ":" not in tag:
        kept = ((name, value) for name, value in attrs if name in ("colspan", "rowspan", "id") and value)
        return f"<{tag}{''.join(f' {name}={chr(34)}{html.escape(value)}{chr(34)}' for name, value in kept)}>"
    titles = [value for name, value in attrs if name in ("ri:content-title", "ri:filename") and value]
    return html.escape(" ".join(titles))  # a link without a text of its own shows the title it leads to
