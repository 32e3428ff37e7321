"""Measurements that anyone can repeat."""

from __future__ import annotations
