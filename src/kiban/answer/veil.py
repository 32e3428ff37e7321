"""Passages as one person is shown them: kinds of personal data that are not for them are ■.

This happens before a model reads them, so that it has nothing to tell. Every sign of a number becomes one ■,
so that places in the document, and with them citations, stay what they are.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from kiban.domain.question import Passage
from kiban.domain.sensitive import Finding, Kind
from kiban.domain.text import normal_form

SIGN = "■"


def veil(passage: Passage, found: Collection[Finding], kinds: frozenset[Kind]) -> Passage:
    """Return a passage without what was found in its text of these kinds."""
    hidden = [one.span for one in found if one.kind in kinds]
    if not hidden:
        return passage
    signs = list(passage.original)
    for span in hidden:
        for at in range(max(span.start, 0), min(span.end, len(signs))):
            signs[at] = signs[at] if signs[at].isspace() else SIGN
    text = "".join(signs)
    return replace(passage, original=text, normalised=normal_form(text).text)
