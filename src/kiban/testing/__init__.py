"""In-memory stand-ins for what `ports` names, with the bad habits of the real ones.

`tests/contract` runs the same tests against these and against the real ones.
"""

from __future__ import annotations

from kiban.testing.feedback import MemoryFeedback
from kiban.testing.hostile import misbehave
from kiban.testing.ledger import MemoryLedger, MemoryRegistry
from kiban.testing.library import MemoryLibrary, MemorySearch, arrival
from kiban.testing.model_server import Fault, ModelServer
from kiban.testing.queue import MemoryQueue
from kiban.testing.serving import MemoryAdapterHost, ScriptedGenerator, echo_generator, write_adapter
from kiban.testing.sources import HangingSource, MemoryParser, MemorySource
from kiban.testing.text import ColourEmbedder, HashEmbedder, OverlapReranker, PatternDetector, WordTokenizer

__all__ = [
    "ColourEmbedder",
    "Fault",
    "HangingSource",
    "HashEmbedder",
    "MemoryAdapterHost",
    "MemoryFeedback",
    "MemoryLedger",
    "MemoryLibrary",
    "MemoryParser",
    "MemoryQueue",
    "MemoryRegistry",
    "MemorySearch",
    "MemorySource",
    "ModelServer",
    "OverlapReranker",
    "PatternDetector",
    "ScriptedGenerator",
    "WordTokenizer",
    "arrival",
    "echo_generator",
    "misbehave",
    "write_adapter",
]
