"""What people and programs come in with, where no OpenID provider vouches for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from kiban.domain.roles import Right


@dataclass(frozen=True, slots=True)
class LocalUser:
    """Somebody, or a program, that this house itself knows. Their groups are memberships like all others."""

    name: str
    groups: frozenset[str]
    has_password: bool  # without one it is a service, which comes in by tokens alone
    made: datetime


class Purpose(StrEnum):
    """What a token of this house is for."""

    SERVICE = "service"  # given to a program by whoever runs the house
    SESSION = "session"  # of somebody who logged in on the page


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that this house keeps, by its hash, and can revoke."""

    id: str
    subject: str  # as whom it calls
    scopes: frozenset[Right] | None  # what it allows of what the subject may do; None: all of it
    purpose: Purpose
    note: str
    made: datetime
    expires: datetime
    revoked: datetime | None = None


@dataclass(frozen=True, slots=True)
class Journey:
    """What a browser keeps while its owner logs in elsewhere: random, and used once."""

    state: str  # comes back in the address
    nonce: str  # comes back in the provider's token
    verifier: str  # of the code challenge (RFC 7636)
