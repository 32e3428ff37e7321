"""What stands beside answers, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kiban.domain.access import Principal
from kiban.domain.question import Choice, Choices
from kiban.domain.standing import Readers, Stale, Standing
from kiban.domain.text import Span
from kiban.errors import UnsupportedFormat

if TYPE_CHECKING:
    from services.chat.testing import MemoryHouse


class MemoryViews:
    """How documents in memory stand: by default all are fresh. A page is drawn only where one was put."""

    def __init__(self, house: MemoryHouse) -> None:
        self._house = house
        self.stale: dict[str, tuple[Stale, ...]] = {}  # by title
        self.pages: dict[int, bytes] = {}  # PNG by number, of any document

    def standing(self, ids: Sequence[int], who: Principal) -> list[Standing]:
        found = [one for one in self._house.documents(who) if one.id in ids]
        return [
            Standing(one, one.since, Readers.told(one.audience, who), self.stale.get(one.title, ()))
            for one in found
        ]

    def choices(self, who: Principal) -> Choices:
        uris = [document.uri for document in self._house.documents(who)]
        folders = Counter(f"{uri.split('/')[0]}/" for uri in uris if "/" in uri)
        formats = Counter(uri.rsplit(".", 1)[-1] for uri in uris)
        counted = [Counter({"memory": len(uris)} if uris else {}), folders, formats]
        return Choices(*(tuple(Choice(*one) for one in kind.most_common()) for kind in counted))

    def page(self, document_id: int, version: int, number: int, quoted: Span, who: Principal) -> bytes:
        if not self._house.document(document_id, who) or number not in self.pages:
            raise UnsupportedFormat("it has no pages to draw")
        return self.pages[number]
