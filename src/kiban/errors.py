"""Every error Kiban raises on purpose. A class's docstring is its message; `detail` says where.

KibanError
├── SettingsError              a field of kiban.toml or the environment is wrong
├── PartError                  a part of the stack
│   ├── PartUnavailable          does not answer
│   │   ├── ModelUnwell            answers, but not with the model we asked for
│   │   │   └── UnknownModel         which it does not serve
│   │   └── NotServed              no server here has the base model of the release
│   ├── PartRefused              cannot start on this machine
│   ├── TooLong                  the model cannot read so much at once
│   └── UnsafeRole               Postgres would not enforce permissions
├── SourceError                a place documents come from
│   ├── SourceRefused            it does not let us in, or is not there, as configured
│   ├── UnsafeAddress            an address we must not connect to
│   └── TooManyGone              so much would be deleted that a person has to say so
├── DocumentError              one document, recorded as failed; the rest goes on
│   ├── GoneMeanwhile            listed, but gone when it was to be fetched
│   ├── Withheld                 listed, but not given out: infected, protected
│   ├── UnsupportedFormat
│   ├── BrokenFile
│   ├── EncryptedFile
│   ├── EmptyFile
│   ├── OversizeFile
│   └── HostileFile
├── IdentityError              the token does not prove who asks
├── NotPermitted               it does, and that person may not do this
│   └── RefusedByPolicy          nobody of these groups may
├── LearningError              weights
│   ├── MixedAudience            an example not everyone in the zone may read
│   ├── SecretsLeft              an example that still holds a secret or personal data
│   ├── TooFewExamples
│   ├── NoSuchCandidate
│   ├── NoSuchFeedback
│   ├── NotVerbatim              what is said to answer does not stand there
│   ├── NothingToLearn           a row whose label mask hides every token
│   ├── CutShort                 a row longer than what the trainer reads
│   ├── TrainingStopped          a process that shared it ended early
│   └── BadWeights               wrong hash, wrong format, wrong base
├── RecordBroken               the record of answers is not as it was written
└── ReleaseError               the ledger
    ├── ConcurrentRelease        someone else moved it first
    ├── NoSuchRelease
    ├── NotEarned                the verdict is not "pass"
    ├── NoEffect                 the adapter is loaded but changes nothing
    ├── Drifted                  it answers, finds or is scored otherwise than on its first night
    ├── NoParity                 the adapter is loaded but is not what was judged
    ├── NoSuchGeneration
    ├── UnfitGeneration          it lacks chunks, or was cut otherwise
    └── GenerationInUse
"""

from __future__ import annotations

from functools import partial


class KibanError(Exception):
    """Kiban could not do this."""

    def __init__(self, detail: str = "", *, mend: str = "") -> None:
        self.detail = detail
        self.mend = mend
        message = (type(self).__doc__ or "").strip()
        super().__init__(" ".join(part for part in (message, detail, mend and f"Mend: {mend}") if part))

    def __reduce__(self) -> tuple[object, ...]:
        """Come out of another process as it went in."""
        return partial(type(self), self.detail, mend=self.mend), ()


class SettingsError(KibanError):
    """A setting is wrong."""


class PartError(KibanError):
    """A part of the stack is in trouble."""


class PartUnavailable(PartError):
    """A part of the stack does not answer."""


class ModelUnwell(PartUnavailable):
    """The server fails with this model."""


class UnknownModel(ModelUnwell):
    """The server does not serve this model."""


class NotServed(PartUnavailable):
    """No model server of this house has the base model of the release."""


class PartRefused(PartError):
    """A part of the stack cannot start on this machine."""


class TooLong(PartError):
    """The model cannot read so much at once."""


class UnsafeRole(PartError):
    """Postgres would not enforce permissions for the role that reads."""


class SourceError(KibanError):
    """A source of documents is in trouble."""


class SourceRefused(SourceError):
    """The source does not let us in as configured."""


class UnsafeAddress(SourceError):
    """This address must not be connected to."""


class TooManyGone(SourceError):
    """The source has lost so much at once that nothing was deleted."""


class DocumentError(KibanError):
    """This document could not be read."""


class GoneMeanwhile(DocumentError):
    """The document was listed, but was gone when it was to be fetched."""


class Withheld(DocumentError):
    """The source lists this document, but does not give it out."""


class UnsupportedFormat(DocumentError):
    """No parser reads this format."""


class BrokenFile(DocumentError):
    """The file is damaged."""


class EncryptedFile(DocumentError):
    """The file is encrypted."""


class EmptyFile(DocumentError):
    """The file holds no text."""


class OversizeFile(DocumentError):
    """The file is larger than the settings allow."""


class HostileFile(DocumentError):
    """The file made its parser exceed time, memory or output limits."""


class IdentityError(KibanError):
    """The token does not prove who asks."""


class NotPermitted(KibanError):
    """This person may not do this."""


class RefusedByPolicy(NotPermitted):
    """The company's policy does not allow this to be asked."""


class LearningError(KibanError):
    """Weights could not be made from these documents."""


class MixedAudience(LearningError):
    """The curriculum holds an example that not every reader of its zone may read."""


class SecretsLeft(LearningError):
    """The curriculum still holds secrets or personal data."""


class TooFewExamples(LearningError):
    """There are too few examples to learn from."""


class NoSuchCandidate(LearningError):
    """There is no such candidate."""


class NoSuchFeedback(LearningError):
    """There is no such feedback that you may see."""


class NotVerbatim(LearningError):
    """The quotation does not stand in the document as you may read it."""


class NothingToLearn(LearningError):
    """A training row has no unmasked label."""


class CutShort(LearningError):
    """A training row is longer than what the model would be shown of it."""


class TrainingStopped(LearningError):
    """A process that shared a training ended without finishing it."""


class BadWeights(LearningError):
    """The weights are not what they claim to be."""


class RecordBroken(KibanError):
    """The record of answers was changed after it was written."""


class ReleaseError(KibanError):
    """The release ledger refused."""


class ConcurrentRelease(ReleaseError):
    """Someone else changed the release in force first; look again and retry."""


class NoSuchRelease(ReleaseError):
    """The ledger knows no such release."""


class NotEarned(ReleaseError):
    """Only a verdict of "pass" promotes a candidate."""


class NoEffect(ReleaseError):
    """The server lists the adapter, but it changes no output."""


class Drifted(ReleaseError):
    """Something changed behind the release in force."""


class NoParity(ReleaseError):
    """The server's adapter gives other probabilities than those it was judged with."""


class NoSuchGeneration(ReleaseError):
    """The index has no such generation."""


class UnfitGeneration(ReleaseError):
    """This index generation cannot answer as it is."""


class GenerationInUse(ReleaseError):
    """A release that may still answer uses this index generation."""
