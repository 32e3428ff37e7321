"""The house's furniture on the tests' Postgres, with quick hashes of passwords."""

from __future__ import annotations

from pathlib import Path

from argon2 import PasswordHasher

from kiban.backends.passwords import Passwords
from kiban.backends.postgres.connect import Postgres
from kiban.settings import Settings
from kiban.wiring.furniture import Furniture

QUICK = Passwords(PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1))


class Lent(Furniture):
    """Whatever the settings say besides."""

    def __init__(self, folder: Path, postgres: Postgres, **said: object) -> None:
        super().__init__(Settings(state=folder, **said))  # type: ignore[arg-type]
        self.postgres, self.passwords = postgres, QUICK
