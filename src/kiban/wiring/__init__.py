"""The one place that joins rooms and backends.

A house is its furniture (backends, built from the settings when first needed) and what is done in it,
in the order in which data moves: documents, answers, weights, evidence, releases.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from kiban.settings import Settings, load
from kiban.wiring.answers import Answers
from kiban.wiring.conversations import Conversations
from kiban.wiring.directories import Directories
from kiban.wiring.documents import Documents
from kiban.wiring.feedback import FeedbackDesk
from kiban.wiring.furniture import Furniture
from kiban.wiring.generations import Generations
from kiban.wiring.identity import Identity
from kiban.wiring.office import Office
from kiban.wiring.records import Records
from kiban.wiring.releases import Releases
from kiban.wiring.views import Views

if TYPE_CHECKING:  # they bring the judge's statistics, 60 MB that no process which answers has a use for
    from kiban.wiring.canary import Canary
    from kiban.wiring.door import RegistryDoor
    from kiban.wiring.evidence import Evidence
    from kiban.wiring.nights import Nights
    from kiban.wiring.other_base import OtherBase
    from kiban.wiring.weights import WeightsMaking

__all__ = ["House", "house"]


class House:
    """Every room, furnished."""

    def __init__(self, settings: Settings) -> None:
        self.furniture = Furniture(settings)
        self.documents = Documents(self.furniture)
        self.releases = Releases(self.furniture)
        self.generations = Generations(self.furniture, self.releases)
        self.records = Records(self.furniture)
        self.answers = Answers(self.furniture, self.releases, self.records)
        self.identity = Identity(self.furniture)
        self.directories = Directories(self.furniture)
        self.conversations = Conversations(self.furniture)
        self.views = Views(self.furniture)
        self.feedback = FeedbackDesk(self.furniture)
        self.office = Office(self.furniture, self.documents)

    @cached_property
    def weights(self) -> WeightsMaking:
        from kiban.wiring.weights import WeightsMaking

        return WeightsMaking(self.furniture, self.releases, self.answers)

    @cached_property
    def evidence(self) -> Evidence:
        from kiban.wiring.evidence import Evidence

        return Evidence(self.furniture, self.releases, self.answers, self.other_base)

    @cached_property
    def other_base(self) -> OtherBase:
        from kiban.wiring.other_base import OtherBase

        return OtherBase(self.furniture, self.releases, self.answers, self.weights)

    @cached_property
    def nights(self) -> Nights:
        from kiban.wiring.nights import Nights

        return Nights(self.furniture, self.releases, self.answers)

    @cached_property
    def canary(self) -> Canary:
        from kiban.wiring.canary import Canary
        from kiban.wiring.shadow import Shadow

        return Canary(self.furniture, self.releases, Shadow(self.furniture, self.answers))

    @cached_property
    def door(self) -> RegistryDoor:
        from kiban.wiring.door import RegistryDoor

        return RegistryDoor(self.furniture, self.releases, self.evidence)

    def close(self) -> None:
        """Close what was opened; nothing works afterwards."""
        self.furniture.close()


@lru_cache
def house() -> House:
    """Return the house of this process."""
    return House(load())
