"""Is what was found still for whoever asked? Between a search and the first word of an answer lie seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kiban.domain.access import Principal
from kiban.domain.question import Passage
from kiban.wiring.furniture import Furniture

SEARCHES = 2  # for one answer; where readers change faster than that, nothing is shown


def as_now(
    furniture: Furniture, generation: int, who: Principal, passages: Sequence[Passage]
) -> tuple[Principal, bool]:
    """Return who asked, without the groups that the directory has taken from them meanwhile, and whether each
    document is there, in the version that was found, and for them. What was found for more groups is not."""
    now = replace(who, groups=who.groups & furniture.directory.groups_of(who.subject))
    if now != who or not passages:
        return now, now == who
    found = {(one.document_id, one.version) for one in passages}
    known = furniture.index_of(generation).documents(now, sorted({id for id, _ in found}))
    return now, found <= {(one.id, one.version) for one in known}
