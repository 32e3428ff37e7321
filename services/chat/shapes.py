"""The JSON that goes over the wire: OpenAI's shapes, and beside them the field `kiban` with the sources."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import asdict
from typing import Any

from kiban.answer.steady import named
from kiban.domain.document import Document
from kiban.domain.question import Answer, Citation, Passage, Usage
from kiban.domain.standing import Standing
from services.chat.tool_shapes import (
    calls_json,
)

CHAT = "kiban"
SEARCH_ONLY = "kiban-search-only"
MODELS = (CHAT, SEARCH_ONLY)
EMBEDDER = "kiban-embedder"
LONGEST_QUESTION = 4_000  # characters
LONGEST_MESSAGE = 32_000
REFUSED = "社内の規定により回答できません。 Company policy does not allow an answer."
NO_EVIDENCE = "資料に記載がありません。 The documents do not say."

Json = dict[str, Any]


class Reply:
    """One answer in OpenAI's shapes: a whole completion, or chunks with one id."""

    def __init__(self, model: str, choices: int = 1) -> None:
        self._choices = choices
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def whole(self, answer: Answer) -> Json:
        refusal = refusal_of(answer)
        said = None if refusal or answer.calls else answer.text
        message: Json = {"role": "assistant", "content": said, "refusal": refusal}
        message["annotations"] = annotations_json(answer)
        if answer.calls:
            message["tool_calls"] = [
                {key: call[key] for key in call if key != "index"} for call in calls_json(answer.calls)
            ]
        choice = {"message": message, "finish_reason": _ending(answer), "logprobs": None}
        choices = [{"index": index, **choice} for index in range(self._choices)]
        told = {"choices": choices, "usage": usage_json(answer.usage), "kiban": answer_json(answer)}
        return {**self._head, "object": "chat.completion", **told}

    def chunk(self, text: str) -> str:
        return self._event({"role": "assistant", "content": text}, None)

    def last_chunk(self, answer: Answer) -> str:
        refusal = refusal_of(answer)
        delta: Json = {"refusal": refusal} if refusal else {}
        if answer.citations:
            delta["annotations"] = annotations_json(answer)
        if answer.calls:
            delta = {"role": "assistant", "tool_calls": calls_json(answer.calls)}
        return self._event(delta, _ending(answer), kiban=answer_json(answer))

    def usage_chunk(self, answer: Answer) -> str:
        told = {"choices": [], "usage": usage_json(answer.usage)}
        return event({**self._head, "object": "chat.completion.chunk", **told})

    def _event(self, delta: Json, finish_reason: str | None, **more: Json) -> str:
        head = {**self._head, "object": "chat.completion.chunk"}
        choice = {"delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return "".join(
            event({**head, "choices": [{"index": index, **choice}], **more}) for index in range(self._choices)
        )


def event(data: Json) -> str:
    """Return one server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def refusal_of(answer: Answer) -> str | None:
    """Return what is said instead of a JSON value for which there is no evidence."""
    if answer.text:
        return None
    return REFUSED if answer.refused_by else NO_EVIDENCE if answer.abstained else None


def _ending(answer: Answer) -> str:
    if answer.refused_by:
        return "content_filter"
    if answer.calls:
        return "tool_calls"
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


def annotations_json(answer: Answer) -> list[Json]:
    """Return what OpenAI's clients show as sources: the k-th is passage k, up to the last one that is cited,
    since such clients look up a [2] in a text by its place in this list. `start_index` to `end_index` is the
    first such mark; of a passage that is not cited, nothing.

    The addresses are those of GET /v1/documents, relative to this service: Open WebUI's page fetches an icon
    for an absolute one from a third party, and tells it the address.
    """
    last = max((citation.number for citation in answer.citations), default=0)
    return [
        _annotation(number, passage, answer) for number, passage in enumerate(answer.passages[:last], start=1)
    ]


def _annotation(number: int, passage: Passage, answer: Answer) -> Json:
    quoted = next((one.span for one in answer.citations if one.number == number), passage.span)
    start = max(answer.text.find(f"[{number}]"), 0)
    end = start and start + len(f"[{number}]")
    url = f"/v1/documents/{passage.document_id}?start={quoted.start}&end={quoted.end}"
    shown = {"title": named(number, passage, answer.text), "url": url, "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": shown}


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
