"""The JSON that goes over the wire: OpenAI's shapes, and beside them the field `kiban` with the sources."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import asdict
from typing import Annotated, Any, Literal
from uuid import UUID

from jsonschema import Draft202012Validator, SchemaError
from pydantic import BaseModel, ConfigDict, Field, field_validator

from kiban.domain.document import Document
from kiban.domain.question import EVERYTHING, Answer, Citation, Form, Passage, Scope, Turn, Usage
from kiban.domain.standing import Standing
from services.chat.scope_shapes import ScopeRequest

CHAT = "kiban"
SEARCH_ONLY = "kiban-search-only"
MODELS = (CHAT, SEARCH_ONLY)
EMBEDDER = "kiban-embedder"
LONGEST_QUESTION = 4_000  # characters
LONGEST_MESSAGE = 32_000
LONGEST_SCHEMA = 16_000
REFUSED = "社内の規定により回答できません。 Company policy does not allow an answer."
NO_EVIDENCE = "資料に記載がありません。 The documents do not say."

Json = dict[str, Any]
Stop = Annotated[str, Field(min_length=1, max_length=100)]


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


class StreamOptions(BaseModel):
    """What a stream tells besides the text."""

    include_usage: bool = False


class Prose(BaseModel):
    """An answer in prose, with quotations."""

    type: Literal["text"]

    @property
    def schema_text(self) -> str | None:
        return None


class AnyObject(BaseModel):
    """An answer that is some JSON object."""

    type: Literal["json_object"]

    @property
    def schema_text(self) -> str | None:
        return '{"type": "object"}'


class NamedSchema(BaseModel):
    """A JSON Schema (draft 2020-12) with a name."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(max_length=64)]
    of: Annotated[Json, Field(alias="schema")]

    @field_validator("of")
    @classmethod
    def _is_a_schema(cls, of: Json) -> Json:
        if len(json.dumps(of)) > LONGEST_SCHEMA:
            raise ValueError(f"a schema has at most {LONGEST_SCHEMA} characters")
        try:
            Draft202012Validator.check_schema(of)
        except SchemaError as error:
            raise ValueError(f"this is no JSON Schema: {error.message}") from error
        return of


class Schema(BaseModel):
    """An answer that follows a JSON Schema."""

    type: Literal["json_schema"]
    json_schema: NamedSchema

    @property
    def schema_text(self) -> str | None:
        return json.dumps(self.json_schema.of)


class CompletionRequest(BaseModel):
    """A request as OpenAI's clients send it. Fields that mean nothing here (temperature…) are ignored."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: Annotated[list[Message], Field(min_length=1, max_length=64)]
    conversation: UUID | None = None  # keep the answer in this one; see /v1/conversations
    scope: ScopeRequest | None = None  # narrow what is searched for the last question; see /v1/choices
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    n: Literal[1] | None = 1
    max_tokens: Annotated[int, Field(ge=1)] | None = None  # beyond what an answer may have, that counts
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    response_format: Annotated[Prose | AnyObject | Schema, Field(discriminator="type")] | None = None

    @field_validator("stream_options", mode="before")
    @classmethod
    def _none_given(cls, options: object) -> object:
        return StreamOptions() if options is None else options

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
    def form(self) -> Form:
        return Form(
            max_tokens=self.max_completion_tokens or self.max_tokens,
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
            schema=self.response_format.schema_text if self.response_format else None,
        )

    @property
    def about(self) -> Scope:
        return self.scope.scope if self.scope else EVERYTHING

    @property
    def history(self) -> tuple[Turn, ...]:
        said = (message for message in self.messages[:-1] if message.role in ("user", "assistant"))
        return tuple(Turn(message.role, message.text) for message in said)


class Reply:
    """One answer in OpenAI's shapes: a whole completion, or chunks with one id."""

    def __init__(self, model: str) -> None:
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def whole(self, answer: Answer) -> Json:
        refusal = _refusal(answer)
        message = {"role": "assistant", "content": None if refusal else answer.text, "refusal": refusal}
        choice = {"index": 0, "message": message, "finish_reason": _ending(answer), "logprobs": None}
        told = {"choices": [choice], "usage": usage_json(answer.usage), "kiban": answer_json(answer)}
        return {**self._head, "object": "chat.completion", **told}

    def chunk(self, text: str) -> str:
        return self._event({"role": "assistant", "content": text}, None)

    def last_chunk(self, answer: Answer) -> str:
        refusal = _refusal(answer)
        delta = {"refusal": refusal} if refusal else {}
        return self._event(delta, _ending(answer), kiban=answer_json(answer))

    def usage_chunk(self, answer: Answer) -> str:
        told = {"choices": [], "usage": usage_json(answer.usage)}
        return event({**self._head, "object": "chat.completion.chunk", **told})

    def _event(self, delta: Json, finish_reason: str | None, **more: Json) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return event({**self._head, "object": "chat.completion.chunk", "choices": [choice], **more})


def event(data: Json) -> str:
    """Return one server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _refusal(answer: Answer) -> str | None:
    """Return what is said instead of a JSON value for which there is no evidence."""
    if answer.text:
        return None
    return REFUSED if answer.refused_by else NO_EVIDENCE if answer.abstained else None


def _ending(answer: Answer) -> str:
    if answer.refused_by:
        return "content_filter"
    return "length" if answer.usage and answer.usage.cut else "stop"


def usage_json(usage: Usage | None) -> Json:
    """Return what the model read and wrote; nothing when none was asked."""
    read, wrote = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
    return {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}


def answer_json(answer: Answer) -> Json:
    """Return the sources of an answer. Citations point at passages by their number."""
    return {
        "release": answer.release_id,
        "abstained": answer.abstained,
        "failed": answer.failed,
        "refused_quotes": answer.refused_quotes,
        "refused_by": answer.refused_by,
        "citations": [citation_json(citation) for citation in answer.citations],
        "passages": passages_json(answer.passages),
    }


def passages_json(passages: list[Passage] | tuple[Passage, ...]) -> list[Json]:
    return [{"number": number, **passage_json(passage)} for number, passage in enumerate(passages, start=1)]


def passage_json(passage: Passage) -> Json:
    """Return a passage; `span` counts characters of the document's text, as `start` and `end` do. `why` names
    the lanes that found it, with its rank in each."""
    return {
        "document_id": passage.document_id,
        "uri": passage.uri,
        "title": passage.title,
        "version": passage.version,
        "place": asdict(passage.place),
        "span": [passage.span.start, passage.span.end],
        "text": passage.original,
        "score": passage.score,
        "why": [{"lane": why.lane, "rank": why.rank} for why in passage.why],
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
        "modified": document.modified and document.modified.isoformat(),
    }


def standing_json(standing: Standing) -> Json:
    """Return a document, and how it stands: `listed` is when its source was last listed to the end, `stale`
    says why somebody should look at the place itself."""
    return {
        **document_json(standing.document),
        "listed": standing.surveyed and standing.surveyed.isoformat(),
        "stale": [why.value for why in standing.stale],
        "readers": asdict(standing.readers),
    }


def citation_json(citation: Citation) -> Json:
    passage = passage_json(citation.passage)
    shared = {key: passage[key] for key in ("document_id", "uri", "title", "version", "place")}
    span = [citation.span.start, citation.span.end]
    return {"number": citation.number, **shared, "span": span, "quote": citation.quote}


def error_json(message: str, kind: str, *, param: str | None = None, code: str | None = None) -> Json:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
