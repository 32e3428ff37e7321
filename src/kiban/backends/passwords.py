"""Passwords as Argon2id hashes (RFC 9106, its second recommended option: 64 MiB)."""

from __future__ import annotations

from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from kiban.errors import SettingsError

SHORTEST, LONGEST = 10, 256  # characters
AT_ONCE = 2  # hashes in the making: each takes 64 MiB


class Passwords:
    """Makes hashes and checks against them, in time that does not tell whether somebody is known."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobodys = self._hasher.hash("nobody's")
        self._turn = BoundedSemaphore(AT_ONCE)

    def hash(self, password: str) -> str:
        """Raises SettingsError for a password that is too short or too long."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise SettingsError(f"a password has {SHORTEST} to {LONGEST} characters.")
        with self._turn:
            return self._hasher.hash(password)

    def fits(self, password: str, kept: str | None) -> bool:
        """Tell whether this is the password. `kept` is its hash; None or "" when nobody has one."""
        with self._turn:
            try:
                self._hasher.verify(kept or self._nobodys, password[: LONGEST + 1])
            except VerificationError:
                return False
        return bool(kept)
