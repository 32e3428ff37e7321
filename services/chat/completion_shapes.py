"""What POST /v1/chat/completions is asked, as OpenAI's clients send it."""

from __future__ import annotations

import json
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from kiban.domain.question import EVERYTHING, Form, Scope, Tools, Turn
from services.chat.scope_shapes import ScopeRequest
from services.chat.shapes import LONGEST_MESSAGE, LONGEST_QUESTION, MODELS, Json
from services.chat.tool_shapes import (
    MOST_TOOLS,
    Called,
    CallId,
    Choice,
    ChosenTool,
    OfferedTool,
    checked_schema,
    offered_text,
)

MOST_CHOICES = 8
# Described as a choice, and answered with 404 for any other, as OpenAI's clients expect.
ModelName = Annotated[str, Field(json_schema_extra={"enum": list(MODELS)})]
Stop = Annotated[str, Field(min_length=1, max_length=100)]


class TextPart(BaseModel):
    """A piece of a message. Pictures and sound are refused: nothing here can see or hear."""

    type: Literal["text"]
    text: Annotated[str, Field(max_length=LONGEST_MESSAGE)]


class Message(BaseModel):
    """One message of a request."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: (
        Annotated[str, Field(max_length=LONGEST_MESSAGE)]
        | Annotated[list[TextPart], Field(max_length=64)]
        | None
    ) = None
    tool_calls: Annotated[list[Called], Field(max_length=MOST_TOOLS)] | None = None  # of the assistant
    tool_call_id: CallId | None = None  # whose result a tool's message is

    @model_validator(mode="after")
    def _says_something(self) -> Message:
        if self.content is None and not self.tool_calls:
            raise ValueError("content: a message without calls says something")
        if (self.role == "tool") != (self.tool_call_id is not None):
            raise ValueError("tool_call_id: a tool's message names the call whose result it is")
        return self

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or ())

    @property
    def turn(self) -> Turn:
        calls = tuple(called.call for called in self.tool_calls or ())
        return Turn(self.role, self.text, calls, self.tool_call_id or "")


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
        return checked_schema(of)


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

    model: ModelName
    messages: Annotated[list[Message], Field(min_length=1, max_length=64)]
    conversation: UUID | None = None  # keep the answer in this one; see /v1/conversations
    scope: ScopeRequest | None = None  # narrow what is searched for the last question; see /v1/choices
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = 1  # decoding is greedy: n times the same
    tools: Annotated[list[OfferedTool], Field(max_length=MOST_TOOLS)] | None = None
    tool_choice: Choice | ChosenTool | None = None
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
        after = messages[_place_of_question(messages) + 1 :]
        if any(message.role not in ("assistant", "tool") for message in after):
            raise ValueError("the last message must be a user's question, or results of calls that follow it")
        if after and after[-1].role != "tool":
            raise ValueError("the last message must be a user's question, or the result of a call")
        question = messages[_place_of_question(messages)].text
        if not question.strip():
            raise ValueError("the question is empty")
        if len(question) > LONGEST_QUESTION:
            raise ValueError(f"a question has at most {LONGEST_QUESTION} characters")
        return messages

    @field_validator("tools")
    @classmethod
    def _are_not_too_long(cls, tools: list[OfferedTool] | None) -> list[OfferedTool] | None:
        offered_text([tool.function for tool in tools or ()])
        return tools

    @property
    def question(self) -> str:
        return self.messages[_place_of_question(self.messages)].text.strip()

    @property
    def program(self) -> Tools:
        """Return what the asker's program can do, and has done since the question."""
        choice = (
            self.tool_choice.model_dump() if isinstance(self.tool_choice, ChosenTool) else self.tool_choice
        )
        done = self.messages[_place_of_question(self.messages) + 1 :]
        return Tools(
            offered_text([tool.function for tool in self.tools or ()]),
            json.dumps(choice or "auto"),
            tuple(message.turn for message in done),
        )

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
        before = self.messages[: _place_of_question(self.messages)]
        said = (message for message in before if message.role in ("user", "assistant") and message.text)
        return tuple(Turn(message.role, message.text) for message in said)


def _place_of_question(messages: list[Message]) -> int:
    """Return where the last question stands. Raises ValueError when there is none."""
    asked = [place for place, message in enumerate(messages) if message.role == "user"]
    if not asked:
        raise ValueError("there is no user's question")
    return asked[-1]
