"""POST /v1/responses in JSON: what OpenAI's newer clients send, and what they expect, event by event."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kiban.domain.question import Answer, ToolCall
from services.chat.completion_shapes import CompletionRequest, ModelName
from services.chat.scope_shapes import ScopeRequest
from services.chat.shapes import LONGEST_MESSAGE, Json, answer_json, refusal_of
from services.chat.tool_shapes import MOST_TOOLS, CallId, Choice, Function, Name

Words = Annotated[str, Field(max_length=LONGEST_MESSAGE)]


class Part(BaseModel):
    """A piece of an item. Pictures and files are refused: nothing here can see."""

    type: Literal["input_text", "output_text", "text"]
    text: Words


class MessageItem(BaseModel):
    """Something that was said."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Words | Annotated[list[Part], Field(max_length=64)]

    @property
    def message(self) -> Json:
        parts = [self.content] if isinstance(self.content, str) else [part.text for part in self.content]
        return {"role": self.role, "content": "\n".join(parts)}


class CallItem(BaseModel):
    """A call that an earlier response asked for."""

    type: Literal["function_call"]
    call_id: CallId
    name: Name
    arguments: Words

    @property
    def message(self) -> Json:
        called = {"name": self.name, "arguments": self.arguments}
        return {"role": "assistant", "tool_calls": [{"id": self.call_id, "function": called}]}


class ResultItem(BaseModel):
    """What such a call returned."""

    type: Literal["function_call_output"]
    call_id: CallId
    output: Words

    @property
    def message(self) -> Json:
        return {"role": "tool", "tool_call_id": self.call_id, "content": self.output}


class FlatTool(Function):
    """A function on offer. OpenAI's own tools (web_search, …) run nowhere here and are refused."""

    type: Literal["function"]


class FlatChoice(BaseModel):
    type: Literal["function"]
    name: Name


class FormatRequest(BaseModel):
    """The form of the text."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: Annotated[str, Field(max_length=64)] = "answer"
    of: Annotated[Json | None, Field(alias="schema")] = None

    @property
    def asked(self) -> Json:
        if self.type != "json_schema":
            return {"type": self.type}
        return {"type": self.type, "json_schema": {"name": self.name, "schema": self.of}}


class TextRequest(BaseModel):
    format: FormatRequest = FormatRequest()


class ResponseRequest(BaseModel):
    """The part of OpenAI's Responses API that fits here. Nothing is stored: `input` is all that was said."""

    model_config = ConfigDict(extra="ignore")

    model: ModelName
    input: Words | Annotated[list[MessageItem | CallItem | ResultItem], Field(min_length=1, max_length=64)]
    previous_response_id: None = None  # no response is kept; send what was said as `input`
    scope: ScopeRequest | None = None
    stream: bool | None = False
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    text: TextRequest | None = None
    tools: Annotated[list[FlatTool], Field(max_length=MOST_TOOLS)] | None = None
    tool_choice: Choice | FlatChoice | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> ResponseRequest:
        try:
            _ = self.asked
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"]) from error
        return self

    @property
    def asked(self) -> CompletionRequest:
        """Return the same question to /v1/chat/completions."""
        chosen = self.tool_choice
        if isinstance(chosen, FlatChoice):
            choice: object = {"type": "function", "function": {"name": chosen.name}}
        else:
            choice = chosen
        said = [{"role": "user", "content": self.input}]
        if not isinstance(self.input, str):
            said = [item.message for item in self.input]
        return CompletionRequest.model_validate(
            {
                "model": self.model,
                "messages": said,
                "scope": self.scope,
                "max_tokens": self.max_output_tokens,
                "response_format": self.text.format.asked if self.text else None,
                "tools": [tool.described for tool in self.tools] if self.tools else None,
                "tool_choice": choice,
            }
        )


class ResponseReply:
    """One response: whole, or as events that are numbered from 0."""

    def __init__(self, asked: ResponseRequest) -> None:
        self._asked = asked
        self._number = 0
        self._text_id = f"msg_{uuid.uuid4().hex}"
        self._texts: list[str] = []
        self._head = {
            "id": f"resp_{uuid.uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "model": asked.model,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "temperature": 0,
            "top_p": 1,
            "text": asked.text.model_dump(by_alias=True, exclude_none=True) if asked.text else None,
            "tools": [tool.model_dump() for tool in asked.tools or ()],
            "tool_choice": asked.model_dump()["tool_choice"] or "auto",
        }

    def whole(self, answer: Answer) -> Json:
        cut = bool(answer.usage and answer.usage.cut) and not answer.calls
        filtered = "content_filter" if answer.refused_by else None
        unfinished = "max_output_tokens" if cut else filtered
        items = [_call_item(call) for call in answer.calls] or [self._message(answer)]
        return {
            **self._head,
            "status": "incomplete" if unfinished else "completed",
            "incomplete_details": {"reason": unfinished} if unfinished else None,
            "error": None,
            "output": items,
            "usage": _usage(answer),
            "kiban": answer_json(answer),
        }

    def begun(self) -> Iterator[str]:
        for kind in ("created", "in_progress"):
            yield self._event(f"response.{kind}", response=self._unfinished("in_progress"))

    def text(self, text: str) -> Iterator[str]:
        """Yield what tells a piece of text."""
        if not self._texts:
            yield from self._opened("output_text")
        self._texts.append(text)
        yield self._of_text("response.output_text.delta", delta=text, logprobs=[])

    def ended(self, answer: Answer) -> Iterator[str]:
        """Yield what tells the end of an answer, the whole of it last."""
        response = self.whole(answer)
        if answer.calls:
            for index, call in enumerate(response["output"]):
                yield from self._called(index, call)
        else:
            yield from self._text_ended(response["output"][0])
        yield self._event(f"response.{response['status']}", response=response)

    def failed(self, message: str) -> str:
        wrong = {"error": {"code": "server_error", "message": message}}
        return self._event("response.failed", response={**self._unfinished("failed"), **wrong})

    def _unfinished(self, status: str) -> Json:
        return {**self._head, "status": status, "error": None, "output": [], "usage": None}

    def _text_ended(self, item: Json) -> Iterator[str]:
        [part] = item["content"]
        said = {key: part[key] for key in ("text", "refusal") if key in part}
        if not self._texts:
            yield from self._opened(part["type"])
            yield self._of_text(
                f"response.{part['type']}.delta", delta=next(iter(said.values())), logprobs=[]
            )
        yield self._of_text(f"response.{part['type']}.done", **said, logprobs=[])
        yield self._of_text("response.content_part.done", part=part)
        yield self._event("response.output_item.done", output_index=0, item=item)

    def _opened(self, kind: str) -> Iterator[str]:
        item = {"id": self._text_id, "type": "message", "role": "assistant", "status": "in_progress"}
        yield self._event("response.output_item.added", output_index=0, item={**item, "content": []})
        part = {"type": "refusal", "refusal": ""} if kind == "refusal" else _text_part("", [])
        yield self._of_text("response.content_part.added", part=part)

    def _called(self, index: int, call: Json) -> Iterator[str]:
        where = {"output_index": index, "item_id": call["id"]}
        opened = {**call, "arguments": "", "status": "in_progress"}
        yield self._event("response.output_item.added", output_index=index, item=opened)
        arguments = call["arguments"]
        yield self._event("response.function_call_arguments.delta", **where, delta=arguments)
        done = {"name": call["name"], "arguments": arguments}
        yield self._event("response.function_call_arguments.done", **where, **done)
        yield self._event("response.output_item.done", output_index=index, item=call)

    def _message(self, answer: Answer) -> Json:
        refusal = refusal_of(answer)
        part = {"type": "refusal", "refusal": refusal} if refusal else _text_part(answer.text, _notes(answer))
        head = {"id": self._text_id, "type": "message", "role": "assistant", "status": "completed"}
        return {**head, "content": [part]}

    def _of_text(self, kind: str, **told: Any) -> str:
        return self._event(kind, item_id=self._text_id, output_index=0, content_index=0, **told)

    def _event(self, kind: str, **told: Any) -> str:
        data = {"type": kind, "sequence_number": self._number, **told}
        self._number += 1
        return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def _text_part(text: str, annotations: list[Json]) -> Json:
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


def _notes(answer: Answer) -> list[Json]:
    """Return citations as annotations of the places in the text where their numbers stand."""
    found, at = [], 0
    for citation in answer.citations:
        at = max(answer.text.find(f"[{citation.number}]", at + 1), 0)
        source = {"file_id": str(citation.passage.document_id), "filename": citation.passage.title}
        found.append({"type": "file_citation", "index": at, **source})
    return found


def _call_item(call: ToolCall) -> Json:
    called = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
    return {"id": f"fc_{uuid.uuid4().hex}", "type": "function_call", "status": "completed", **called}


def _usage(answer: Answer) -> Json:
    read, wrote = (answer.usage.prompt_tokens, answer.usage.completion_tokens) if answer.usage else (0, 0)
    details = {
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    return {"input_tokens": read, "output_tokens": wrote, "total_tokens": read + wrote, **details}
