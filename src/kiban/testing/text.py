"""A tokenizer, embedders and a reranker without weights."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

from kiban.domain.document import Picture
from kiban.domain.sensitive import Finding, Kind, apart
from kiban.domain.text import Span
from kiban.ports import Vector


class WordTokenizer:
    """A Tokenizer that takes Latin words and pairs of Japanese characters for terms."""

    name = "words-1"

    def terms(self, text: str) -> list[str]:
        words = re.findall(r"[a-z0-9]+|[^\W\d_a-z]+", text.casefold())
        return [term for word in words for term in ([word] if word[0] < "\u2e80" else pairs(word))]


class PatternDetector:
    """A Detector that takes anything like 090-1234-5678 for a phone number, and SECRET-1 for a key."""

    _PATTERNS = ((Kind.PHONE, re.compile(r"0\d0-\d{4}-\d{4}")), (Kind.API_KEY, re.compile(r"SECRET-\d+")))

    def findings(self, text: str) -> tuple[Finding, ...]:
        return apart(
            Finding(kind, Span(*match.span()))
            for kind, pattern in self._PATTERNS
            for match in pattern.finditer(text)
        )


class HashEmbedder:
    """An Embedder under which texts are as near as the pairs of characters they share."""

    def __init__(self, dimensions: int = 64) -> None:
        self.dimensions = dimensions
        self.calls: list[int] = []  # texts in each call for passages

    def passages(self, texts: Sequence[str]) -> Sequence[Vector]:
        self.calls.append(len(texts))
        return [self.query(text) for text in texts]

    def query(self, text: str) -> Vector:
        vector = np.full(self.dimensions, 1e-3)
        for pair in pairs(text.casefold()):
            vector[zlib.crc32(pair.encode()) % self.dimensions] += 1
        unit: list[float] = (vector / np.linalg.norm(vector)).tolist()
        return unit


class ColourEmbedder:
    """A PictureEmbedder that knows three colours by their names, and what share of a picture each makes."""

    sha256 = "colours"
    dimensions = 3
    _NAMES = (("red", "赤"), ("green", "緑"), ("blue", "青"))

    def pictures(self, pictures: Sequence[Picture]) -> Sequence[Vector]:
        return [self._unit([sum(picture.rgb[colour::3]) for colour in range(3)]) for picture in pictures]

    def query(self, text: str) -> Vector:
        return self._unit([sum(name in text.casefold() for name in names) for names in self._NAMES])

    @staticmethod
    def _unit(shares: Sequence[int]) -> Vector:
        vector = np.asarray(shares) + 1e-3
        unit: list[float] = (vector / np.linalg.norm(vector)).tolist()
        return unit


class OverlapReranker:
    """A Reranker under which a passage answers as well as it holds the question's pairs of characters."""

    def __init__(self) -> None:
        self.read: list[tuple[str, ...]] = []  # the passages of each call

    def scores(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        self.read.append(tuple(passages))
        wanted = set(pairs(question.casefold()))
        return [len(wanted & set(pairs(text.casefold()))) / len(wanted) for text in passages]


def pairs(text: str) -> list[str]:
    return [text[start : start + 2] for start in range(max(len(text) - 1, 1))]
