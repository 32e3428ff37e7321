"""A language model small enough to train in a second."""

from __future__ import annotations

from kiban.testing.tiny import make_tiny_model

__all__ = ["make_tiny_model"]
