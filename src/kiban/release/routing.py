"""Which weights write an answer: decided after the search by what the asker may read, never by a client."""

from __future__ import annotations

from kiban.domain.access import Audience, Principal
from kiban.domain.release import Release


def choices(release: Release, who: Principal, best: Audience) -> tuple[tuple[Release, str], ...]:
    """Return what to try in turn: the name of an adapter, and the release as far as it then answers. After
    the last of them, the base model answers.

    `best` is who may read the document of the best passage found, as of now. The first is the adapter of its
    zone, if it has one of its own and `who` may read that zone; then everyone's. One adapter alone writes an
    answer: weights of several zones are never put together. And what is told of an answer names no other
    zone's, so that not even the id of a release changes by what one may not read.
    """
    own = release.zone(best) if who.may_read(best) else None
    with_own = ((release.narrowed(own), own.name),) if own else ()
    for_everyone = ((release.narrowed(), release.adapter),) if release.adapter else ()
    return (*with_own, *for_everyone)
