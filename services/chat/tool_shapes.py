"""Tools of the asker's own program, as OpenAI's clients describe them. None is run here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from jsonschema import Draft202012Validator, SchemaError
from pydantic import BaseModel, ConfigDict, Field, field_validator

from kiban.domain.question import ToolCall

Json = dict[str, Any]
MOST_TOOLS = 128  # as many as OpenAI takes; Open WebUI alone brings 36
LONGEST_TOOLS = 32_000  # characters, all of them together
LONGEST_SCHEMA = 16_000
Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
CallId = Annotated[str, Field(min_length=1, max_length=100)]


def checked_schema(of: Json) -> Json:
    """Return a JSON Schema (draft 2020-12). Raises ValueError for what is none, or is too long."""
    if len(json.dumps(of)) > LONGEST_SCHEMA:
        raise ValueError(f"a schema has at most {LONGEST_SCHEMA} characters")
    try:
        Draft202012Validator.check_schema(of)
    except SchemaError as error:
        raise ValueError(f"this is no JSON Schema: {error.message}") from error
    return of


class Function(BaseModel):
    """A function of the asker's program."""

    model_config = ConfigDict(extra="ignore")

    name: Name
    description: Annotated[str, Field(max_length=4_000)] | None = None
    parameters: Json | None = None

    @field_validator("parameters")
    @classmethod
    def _is_a_schema(cls, parameters: Json | None) -> Json | None:
        return parameters and checked_schema(parameters)

    @property
    def described(self) -> Json:
        return {"type": "function", "function": self.model_dump(include=set(Function.model_fields))}


class OfferedTool(BaseModel):
    """A tool on offer. Other kinds than functions would have to be run here, and are refused."""

    type: Literal["function"]
    function: Function


class ChosenName(BaseModel):
    name: Name


class ChosenTool(BaseModel):
    """The one function that is to be called."""

    type: Literal["function"]
    function: ChosenName


Choice = Literal["none", "auto", "required"]


class CalledFunction(BaseModel):
    name: Annotated[str, Field(max_length=64)]
    arguments: Annotated[str, Field(max_length=32_000)]


class Called(BaseModel):
    """A call that an earlier reply asked for."""

    id: CallId
    type: Literal["function"] = "function"
    function: CalledFunction

    @property
    def call(self) -> ToolCall:
        return ToolCall(self.id, self.function.name, self.function.arguments)


def offered_text(functions: Sequence[Function]) -> str:
    """Return the tools on offer as the Generator takes them. Raises ValueError when they are too long."""
    if not functions:
        return ""
    text = json.dumps([function.described for function in functions], ensure_ascii=False)
    if len(text) > LONGEST_TOOLS:
        raise ValueError(f"tools have at most {LONGEST_TOOLS} characters together")
    return text


def calls_json(calls: Sequence[ToolCall]) -> list[Json]:
    return [
        {
            "index": index,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for index, call in enumerate(calls)
    ]
