"""Does the model choose rightly whether a tool of the asker's is called, which, and with what?

Forty questions, half of them Japanese. Half of them need one of four tools; the documents would answer the
other half, some of which are about what the tools are about. The model is asked as the chat service does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from kiban.answer.calling import decide
from kiban.domain.question import ToolCall, Tools
from kiban.ports import Generator

Json = dict[str, Any]
AT_ONCE = 8


def _tool(name: str, description: str, **properties: str) -> Json:
    schema = {
        "type": "object",
        "properties": {key: {"type": "string", "description": what} for key, what in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": schema},
    }


TOOLS = (
    _tool("exchange_rate", "Today's rate of a currency in yen", currency="ISO 4217 code, such as USD"),
    _tool("weather", "The weather forecast for a city", city="Name of the city"),
    _tool("send_mail", "Send a mail", to="Address", text="What the mail says"),
    _tool("book_room", "Book a meeting room", room="Name of the room", start="Time, as HH:MM"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the tool that it needs ("" for none), and what stands in the call's arguments."""

    question: str
    tool: str = ""
    holds: tuple[str, ...] = ()


QUESTIONS = (
    Asked("今日、1ユーロは何円ですか。", "exchange_rate", ("EUR",)),
    Asked("米ドルの今日の相場を教えてください。", "exchange_rate", ("USD",)),
    Asked("500ポンドは今日のレートでいくらになりますか。", "exchange_rate", ("GBP",)),
    Asked("明日の大阪の天気を教えてください。", "weather", ("大阪|Osaka",)),
    Asked("札幌はいま雪が降っていますか。", "weather", ("札幌|Sapporo",)),
    Asked("福岡に出張します。傘は要りますか。", "weather", ("福岡|Fukuoka",)),
    Asked("mori@example.jp に「会議は3時から」と知らせてください。", "send_mail", ("mori@", "3時")),
    Asked("suzuki@example.jp に、資料が届いたとメールしてください。", "send_mail", ("suzuki@example.jp",)),
    Asked("会議室Aを10:00から予約してください。", "book_room", ("A", "10:00")),
    Asked("14:30から富士の会議室を取ってください。", "book_room", ("富士", "14:30")),
    Asked("国内出張の宿泊費の上限はいくらですか。"),
    Asked("有給休暇は何日もらえますか。"),
    Asked("外貨で払った経費は、どの日の相場で精算しますか。"),
    Asked("台風で電車が止まったときは、出社しなくてもよいですか。"),
    Asked("社外にメールを送るとき、添付ファイルは暗号化しますか。"),
    Asked("会議室の予約は何日前から取れますか。"),
    Asked("来客用の駐車場は何時間使えますか。"),
    Asked("情報セキュリティの事故に気付いたら、どこへ電話しますか。"),
    Asked("書式12の保存年限は何年ですか。"),
    Asked("慶弔休暇の申請先はどこですか。"),
    Asked("What is one euro in yen today?", "exchange_rate", ("EUR",)),
    Asked("Give me today's rate of the US dollar.", "exchange_rate", ("USD",)),
    Asked("How many yen are 500 pounds sterling at today's rate?", "exchange_rate", ("GBP",)),
    Asked("What will the weather be in Osaka tomorrow?", "weather", ("Osaka",)),
    Asked("Is it snowing in Sapporo?", "weather", ("Sapporo",)),
    Asked("I travel to Fukuoka. Do I need an umbrella?", "weather", ("Fukuoka",)),
    Asked('Mail "The meeting is at three" to mori@example.jp.', "send_mail", ("mori@example.jp", "three")),
    Asked("Tell suzuki@example.jp that the parts have arrived.", "send_mail", ("suzuki@example.jp",)),
    Asked("Book meeting room A from 10:00.", "book_room", ("A", "10:00")),
    Asked("Take the room Fuji for me at 14:30.", "book_room", ("Fuji", "14:30")),
    Asked("What is the limit for hotels on domestic travel?"),
    Asked("How many days of paid leave do I get?"),
    Asked("Which day's rate is used for expenses paid in a foreign currency?"),
    Asked("May I stay at home when a typhoon stops the trains?"),
    Asked("Must attachments of mails to outsiders be encrypted?"),
    Asked("How many days ahead can meeting rooms be booked?"),
    Asked("How long may visitors park?"),
    Asked("Which number do I call after a security incident?"),
    Asked("For how many years is form 12 kept?"),
    Asked("Where do I apply for bereavement leave?"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chosen:
    """What came of one question."""

    asked: Asked
    calls: tuple[ToolCall, ...]

    @property
    def rightly(self) -> bool:
        """Whether the tool that is needed was called and no other, or none where none is."""
        return [call.name for call in self.calls] == ([self.asked.tool] if self.asked.tool else [])

    @property
    def valid(self) -> bool:
        """Whether every call follows the schema of its tool."""
        return all(_follows(call) for call in self.calls)

    @property
    def wholly(self) -> bool:
        """Whether the choice is right, and the arguments valid and those that were asked for."""
        told = " ".join(call.arguments for call in self.calls)
        held = all(any(form in told for form in one.split("|")) for one in self.asked.holds)
        return self.rightly and self.valid and held


async def choose(generator: Generator, model: str, choice: str, asked: Sequence[Asked]) -> list[Chosen]:
    """Let a model choose for each question. `choice`: "auto", or "required". Raises PartUnavailable."""
    tools = Tools(json.dumps(TOOLS, ensure_ascii=False), json.dumps(choice))
    places = asyncio.Semaphore(AT_ONCE)

    async def chosen(one: Asked) -> Chosen:
        async with places:
            decided = await decide(one.question, (), tools, generator=generator, model=model)
        return Chosen(one, decided.calls)

    return await asyncio.gather(*map(chosen, asked))


def _follows(call: ToolCall) -> bool:
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}
    try:
        said = json.loads(call.arguments)
    except json.JSONDecodeError:
        return False
    return bool(Draft202012Validator(schemas[call.name]).is_valid(said))
