"""What the rooms need from outside: one Protocol where two implementations exist, the real one in
`backends` and the in-memory one in `kiban.testing`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from kiban.domain.access import Audience, Principal
from kiban.domain.channel import Handshake, Message
from kiban.domain.course import Watched
from kiban.domain.document import (
    Arrival,
    Document,
    IngestReport,
    Lease,
    Listed,
    Listing,
    ParsedDocument,
    Picture,
    SourceFile,
    SourceStatus,
    Tombstone,
)
from kiban.domain.feedback import Feedback
from kiban.domain.learning import Curriculum, EveryonesPairs, Weights
from kiban.domain.question import (
    EVERYTHING,
    NO_TOOLS,
    PROSE,
    Form,
    Passage,
    Scope,
    ToolCall,
    Tools,
    Turn,
    Usage,
)
from kiban.domain.release import Action, LedgerEntry, Release, Shelf
from kiban.domain.sensitive import Finding

Vector = Sequence[float]  # unit length
Progress = Callable[[int, int, str], None]  # done, total, what is being done


class Source(Protocol):
    """A place documents come from, which can say what happened since it was last asked.

    Readers are resolved when listing: whoever cannot be resolved reads nothing. Every call may raise
    PartUnavailable (it does not answer; ask again later) or SourceRefused (it never will, as configured).
    """

    name: str

    def listing(self, cursor: str = "") -> Listing:
        """Return what happened since `cursor`; with "" or an expired cursor, all that the source holds."""
        ...

    def fetch(self, listed: Listed, folder: Path) -> SourceFile:
        """Write the bytes of one thing into a file in `folder`. Raises a DocumentError: GoneMeanwhile,
        OversizeFile."""
        ...

    def memberships(self) -> Mapping[str, frozenset[str]]:
        """Return the groups of every person the source knows."""
        ...


class Parser(Protocol):
    """Reads one file."""

    def parse(self, file: SourceFile) -> ParsedDocument:
        """Return the text by place. Raises a DocumentError for what cannot be read."""
        ...


class Tokenizer(Protocol):
    """Cuts text into normalised lexical terms."""

    name: str

    def terms(self, text: str) -> list[str]: ...


class Detector(Protocol):
    """Finds secrets and personal data."""

    def findings(self, text: str) -> tuple[Finding, ...]:
        """Return what is sensitive in a text, in order, none overlapping."""
        ...


class Embedder(Protocol):
    """Turns texts into unit vectors."""

    dimensions: int

    def passages(self, texts: Sequence[str]) -> Sequence[Vector]: ...

    def query(self, text: str) -> Vector: ...


class PictureEmbedder(Protocol):
    """Turns pictures, and questions about them, into unit vectors of one space."""

    sha256: str  # of what makes the pictures' vectors: those of another do not compare
    dimensions: int

    def pictures(self, pictures: Sequence[Picture]) -> Sequence[Vector]: ...

    def query(self, text: str) -> Vector: ...


class Library(Protocol):
    """Where documents are kept, for the one who stores them. Every call is one transaction."""

    def documents(self, source: str | None = None) -> list[Document]: ...

    def put(
        self,
        source: str,
        arrivals: Sequence[Arrival],
        vectors: Mapping[int, Sequence[Vector]],
        lease: str = "",
    ) -> frozenset[str]:
        """Store documents whole, replacing older versions. `vectors` holds, by generation, one vector
        per chunk in the order of `[chunk for arrival in arrivals for chunk in arrival.chunks]`.

        With a lease, only what is still lent under it is stored, for the readers recorded meanwhile.
        Returns the uris stored.
        """
        ...

    def fail(self, source: str, file: SourceFile, reason: str) -> None:
        """Record a file that could not be read; what an older version said is no longer served."""
        ...

    def move_audience(self, source: str, listed: Listed | SourceFile) -> None: ...

    def delete(self, source: str, uris: Iterable[str], why: str = "gone from its source") -> int:
        """Delete documents with all they say; tombstones stay."""
        ...

    def set_memberships(self, source: str, memberships: Mapping[str, frozenset[str]]) -> None:
        """Replace what this source says of people's groups; other sources keep their say."""
        ...


class Queue(Protocol):
    """What is to be read, as states of the documents themselves. Every call is one transaction, and any
    number of workers may call at once."""

    def cursor(self, source: str) -> str:
        """Return the cursor kept for a source; "" if there is none."""
        ...

    def surveyed(self, source: str, cursor: str, refused: str = "") -> None:
        """Note that a listing was recorded to its end: what was held becomes due, the cursor is kept, and
        why deletions were refused, if they were."""
        ...

    def release(self, source: str) -> None:
        """Make due what was held."""
        ...

    def record(self, source: str, entries: Sequence[Listed]) -> IngestReport:
        """Follow what was listed: readers at once, new content as waiting. New documents are held, until
        the whole listing is known: they may be old ones renamed."""
        ...

    def uris(self, source: str) -> set[str]: ...

    def alike(self, source: str, gone: Iterable[str]) -> list[tuple[str, Listed, str]]:
        """Return (uri of a document, held entry, "") where both have one identity, and (uri, held entry,
        sha256 of the document) where one of `gone` has the entry's size, or its tag where it has no size."""
        ...

    def rename(self, source: str, uri: str, new: str, *, same: bool) -> None:
        """Move a document to the uri of a held entry, which vanishes; `same` says that its content is the
        same for sure."""
        ...

    def lease(self, source: str, worker: str, count: int, seconds: float) -> Lease | None:
        """Lend up to `count` due documents for so many seconds. One whose worker died is lent alone."""
        ...

    def extend(self, lease: Lease, seconds: float) -> None: ...

    def give_back(self, lease: Lease, *, died: bool = False) -> None:
        """Put what is left of a lease back to waiting; `died` counts it as a worker's death."""
        ...

    def fail(self, lease: Lease, file: SourceFile, reason: str) -> None:
        """Count a failure: to be tried again later and later, then dead. What an older version said is no
        longer served."""
        ...

    def keep(self, lease: Lease, file: SourceFile) -> None:
        """Record that a document's content, though its tag is new, is what is stored already."""
        ...

    def pending(self, source: str) -> float | None:
        """Return seconds until something waiting or lent may be due, or None when there is nothing such."""
        ...

    def retry(self, uri: str | None) -> int:
        """Make one document due now, or all dead ones; return how many."""
        ...

    def tombstones(self) -> list[Tombstone]: ...

    def status(self) -> list[SourceStatus]: ...


class SearchIndex(Protocol):
    """The index as one principal sees it. Nothing it returns depends on what the principal may not read.

    A scope narrows what is ranked further, before it is ranked.
    """

    def visible_chunks(self, who: Principal, scope: Scope = EVERYTHING) -> int: ...

    def documents(self, who: Principal) -> list[Document]: ...

    def audience(self, who: Principal, document_id: int) -> Audience:
        """Return who may read a document now; nobody if it is absent or not for `who`."""
        ...

    def browse(self, who: Principal) -> list[Passage]:
        """Return every chunk the principal may read, by source, URI and ordinal; score is 0."""
        ...

    def sensitive(self, who: Principal, chunk_ids: Sequence[int]) -> Mapping[int, tuple[Finding, ...]]:
        """Return what is sensitive in those chunks that the principal may read, by chunk asked for."""
        ...

    def nearest(
        self,
        who: Principal,
        vector: Vector,
        generation: int,
        limit: int,
        *,
        exact: bool,
        scope: Scope = EVERYTHING,
    ) -> list[Passage]:
        """Return the nearest chunks by cosine, best first; score is the cosine."""
        ...

    def matching(
        self, who: Principal, terms: Sequence[str], limit: int, *, scope: Scope = EVERYTHING
    ) -> list[Passage]:
        """Return chunks by BM25, best first, with statistics of all visible chunks and of no other.

        A scope does not change the statistics: how rare a word is does not depend on where one looks.
        """
        ...

    def pictured(
        self, who: Principal, vector: Vector, embedder_sha256: str, limit: int, *, scope: Scope = EVERYTHING
    ) -> list[Passage]:
        """Return the chunks beside the nearest pictures by cosine, best first, each once; score is the
        cosine of the nearest picture beside it."""
        ...


class Reranker(Protocol):
    """Reads a question and a passage together, which no lane can: slower, and a better judge."""

    def scores(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        """Return how well each passage answers, 0..1, in the given order."""
        ...


class Generator(Protocol):
    """The model that writes."""

    def stream(
        self,
        turns: Sequence[Turn],
        *,
        model: str,
        max_tokens: int,
        salt: str = "",
        session: str = "",
        form: Form = PROSE,
        tools: Tools = NO_TOOLS,
    ) -> AsyncIterator[str | ToolCall | Usage]:
        """Yield pieces of text, greedily decoded, and last what they cost, where that is counted.

        Of the form, `stop` and `schema` are followed. Of the tools on offer the model may want some called:
        each call comes whole, before the cost. Raises PartUnavailable.

        What was computed under one salt is not reused under another, so that nobody can tell by the
        time to the first piece what people with other readers' documents have asked. Questions of one
        `session` are best answered in one place, where that has been computed.
        """
        ...


class Watcher(Protocol):
    """Where people who keep the service running look at answers. Calls return at once; what cannot be sent is
    lost, and no answer waits for it."""

    def saw(self, watched: Watched) -> None: ...

    def close(self) -> None:
        """Send what waits."""
        ...


class Channel(Protocol):
    """A chat platform that people ask from. `received` works on what the platform sent, nothing else; the
    others ask it, and raise PartUnavailable when it does not answer."""

    name: str
    longest: int  # characters of one message

    def received(self, headers: Mapping[str, str], body: bytes) -> Message | Handshake | None:
        """Return what was sent; None for what is no question to us. Raises IdentityError for what the
        platform did not send."""
        ...

    def identities(self, message: Message) -> list[str]:
        """Return by what the directory may know whoever wrote it, in order: an address that the platform
        vouches for, then "platform:id". Nothing for guests, bots and people of other companies."""
        ...

    def tell(self, message: Message, text: str) -> None:
        """Answer so that whoever asked reads it, and nobody else."""
        ...


class AdapterHost(Protocol):
    """Generators as the release room sees them: adapters go in, and must change something."""

    def adapters(self) -> set[str]: ...

    def load(self, name: str, path: Path) -> None: ...

    def logprobs(self, model: str, prompts: Sequence[str]) -> list[list[float]]:
        """Return the log-probabilities of the tokens of each prompt under `model`."""
        ...


class Ledger(Protocol):
    """The append-only record of releases."""

    def entries(self) -> list[LedgerEntry]: ...

    def release(self, release_id: str) -> Release:
        """Raises NoSuchRelease."""
        ...

    def keep_release(self, release: Release) -> None:
        """Remember a release that answered without any entry naming it: a part of one, or what a withdrawal
        not yet written down has left."""
        ...

    def append(
        self,
        *,
        after: int,
        actor: str,
        action: Action,
        release: Release,
        reason: str,
        evidence: str,
        share: int = 100,
    ) -> LedgerEntry:
        """Write entry `after` + 1. Raises ConcurrentRelease if it exists already."""
        ...

    def tainted(self) -> dict[str, tuple[str, ...]]:
        """Return curricula (by hash) that saw documents now gone or narrowed, with those documents' uris."""
        ...

    def keep_curriculum(self, curriculum: Curriculum) -> None: ...


class Registry(Protocol):
    """The shelf where people see runs, candidates and the champion."""

    def register(self, name: str, weights: Weights, tags: Mapping[str, str], card: str) -> str:
        """Store a plain directory as a new version; return "name/version"."""
        ...

    def alias(self, alias: str, version: str | None, name: str) -> None:
        """Point `alias` of model `name` at "name/version", or take it away."""
        ...

    def shelf(self, name: str) -> Shelf:
        """Return every version of a model, with what people and we have done to it."""
        ...

    def crown(self, name: str, number: int | None, seq: int) -> None:
        """Put the champion alias where ledger entry `seq` says, and remember that it was us."""
        ...

    def tell(self, version: str, text: str) -> None:
        """Write on a version what became of somebody's wish."""
        ...


class FeedbackBox(Protocol):
    """What people say of answers."""

    def keep(self, given: Feedback) -> int:
        """Keep feedback and return its number; `id`, `at` and `decisions` of `given` do not count."""
        ...

    def visible(self, who: Principal) -> list[Feedback]:
        """Return what is about documents `who` may read, newest first."""
        ...

    def all(self) -> list[Feedback]:
        """Return everything, oldest first, for the one who writes curricula."""
        ...

    def decide(self, feedback_id: int, who: Principal, approves: bool, reason: str) -> Feedback:
        """Note what a curator says; a second word of the same curator replaces the first.

        Raises NoSuchFeedback for what is not there for `who`.
        """
        ...


class LanguageTrainer(Protocol):
    """Makes an adapter from a curriculum."""

    def train(self, curriculum: Curriculum, out: Path, progress: Progress) -> Weights: ...


class EmbedderTrainer(Protocol):
    """Makes an embedder from questions and the passages that answer them, all of which everyone may read."""

    def train(self, pairs: EveryonesPairs, out: Path, progress: Progress) -> Weights: ...
