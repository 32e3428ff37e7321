"""ports.Detector: everything sensitive in a text."""

from __future__ import annotations

from kiban.backends.sensitive import keys, labelled, numbers, phones, places
from kiban.backends.sensitive.names import NameDetector
from kiban.backends.sensitive.reading import read
from kiban.domain.sensitive import Finding, apart


class SensitiveDetector:
    """Finds keys, numbers, addresses and names, Japanese and English. May be called from several threads."""

    def __init__(self) -> None:
        self._names = NameDetector()

    def findings(self, text: str) -> tuple[Finding, ...]:
        reading = read(text)
        finders = (
            keys.find,
            numbers.find,
            labelled.find,
            phones.find,
            places.find,
            self._names.find,
        )
        return apart(finding for find in finders for finding in find(reading))
