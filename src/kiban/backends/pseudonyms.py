"""Names that stand for people and questions where their own must not stand (HMAC-SHA256, RFC 2104)."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from functools import cached_property
from pathlib import Path


class Pseudonyms:
    """Keyed with a secret of this house: without it, nobody can try names until one fits."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "pseudonyms.key"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def of(self, kind: str, text: str) -> str:
        """Return 32 hexadecimal digits, the same for the same text of a kind."""
        return hmac.new(self._key, f"{kind}\0{text}".encode(), hashlib.sha256).hexdigest()[:32]

    @cached_property
    def _key(self) -> bytes:
        draft = self._path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            os.link(draft, self._path)  # of several processes, one gives the key
        except FileExistsError:
            pass  # given by an earlier run
        finally:
            draft.unlink()
        return self._path.read_bytes()
