"""Questions that come by a chat platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Message:
    """Something a person wrote to us, in a direct message or naming us where others read along."""

    event: str  # the platform's id of it, the same when it is sent again
    person: str  # the platform's id of whoever wrote it
    text: str
    direct: bool  # nobody else reads along
    back: Mapping[str, str] = field(default_factory=dict)  # what the platform wants to know for an answer


@dataclass(frozen=True, slots=True)
class Handshake:
    """A platform asks whether this address is ours, and wants its words back."""

    challenge: str
