"""The JSON that goes over the wire: OpenAI's shapes, and beside them the field `kiban` with the sources."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from kiban.domain.document import Document
from kiban.domain.question import Answer, Citation, Passage, Turn

CHAT = "kiban"
SEARCH_ONLY = "kiban-search-only"
MODELS = (CHAT, SEARCH_ONLY)
LONGEST_QUESTION = 4_000  # characters
LONGEST_MESSAGE = 32_000

Json = dict[str, Any]


class TextPart(BaseModel):
    """A piece of a message. Pictures and sound are refused: nothing here can see or hear."""

    type: Literal["text"]
    text: Annotated[str, Field(max_length=LONGEST_MESSAGE)]


class Message(BaseModel):
    """One message of a request."""

    role: Literal["system", "developer", "user", "assistant"]
    content: (
        Annotated[str, Field(max_length=LONGEST_MESSAGE)] | Annotated[list[TextPart], Field(max_length=64)]
    )

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content)


class CompletionRequest(BaseModel):
    """A request as OpenAI's clients send it. Fields that mean nothing here (temperature…) are ignored."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: Annotated[list[Message], Field(min_length=1, max_length=64)]
    stream: bool = False
    n: Literal[1] | None = 1

    @field_validator("messages")
    @classmethod
    def _ends_with_a_question(cls, messages: list[Message]) -> list[Message]:
        last = messages[-1]
        if last.role != "user" or not last.text.strip():
            raise ValueError("the last message must be a user's question")
        if len(last.text) > LONGEST_QUESTION:
            raise ValueError(f"a question has at most {LONGEST_QUESTION} characters")
        return messages

    @property
    def question(self) -> str:
        return self.messages[-1].text.strip()

    @property
    def history(self) -> tuple[Turn, ...]:
        said = (message for message in self.messages[:-1] if message.role in ("user", "assistant"))
        return tuple(Turn(message.role, message.text) for message in said)


class Reply:
    """One answer in OpenAI's shapes: a whole completion, or chunks with one id."""

    def __init__(self, model: str) -> None:
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def whole(self, text: str, sources: Json) -> Json:
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return {**self._head, "object": "chat.completion", "choices": [choice], "kiban": sources}

    def chunk(self, text: str) -> str:
        return self._event({"role": "assistant", "content": text}, None)

    def last_chunk(self, sources: Json) -> str:
        return self._event({}, "stop", kiban=sources)

    def _event(self, delta: Json, finish_reason: str | None, **more: Json) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return event({**self._head, "object": "chat.completion.chunk", "choices": [choice], **more})


def event(data: Json) -> str:
    """Return one server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def answer_json(answer: Answer) -> Json:
    """Return the sources of an answer. Citations point at passages by their number."""
    return {
        "release": answer.release_id,
        "abstained": answer.abstained,
        "refused_quotes": answer.refused_quotes,
        "citations": [citation_json(citation) for citation in answer.citations],
        "passages": passages_json(answer.passages),
    }


def passages_json(passages: list[Passage] | tuple[Passage, ...]) -> list[Json]:
    return [{"number": number, **passage_json(passage)} for number, passage in enumerate(passages, start=1)]


def passage_json(passage: Passage) -> Json:
    """Return a passage; `span` counts characters of the document's text, as `start` and `end` do."""
    return {
        "document_id": passage.document_id,
        "uri": passage.uri,
        "title": passage.title,
        "version": passage.version,
        "place": asdict(passage.place),
        "span": [passage.span.start, passage.span.end],
        "text": passage.original,
        "score": passage.score,
    }


def document_json(document: Document) -> Json:
    """Return a document; `reason` says why it could not be read."""
    return {
        "document_id": document.id,
        "source": document.source,
        "uri": document.uri,
        "url": document.url,
        "title": document.title,
        "version": document.version,
        "state": document.state.value,
        "since": document.since.isoformat(),
        "reason": document.reason,
    }


def citation_json(citation: Citation) -> Json:
    passage = passage_json(citation.passage)
    shared = {key: passage[key] for key in ("document_id", "uri", "title", "version", "place")}
    span = [citation.span.start, citation.span.end]
    return {"number": citation.number, **shared, "span": span, "quote": citation.quote}


def error_json(message: str, kind: str, *, param: str | None = None, code: str | None = None) -> Json:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
