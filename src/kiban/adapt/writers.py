"""Two ways to put a fact as a question. Both are QuestionWriters: facts in, one question each out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from kiban.adapt.facts import Fact

# --- By rule: the sentence itself, with the value replaced by the word that asks for it ---


def from_templates(facts: Sequence[Fact]) -> list[str]:
    """Turn each sentence round: 「寮費は月額11,900円とする。」 → 「寮費は月額いくらですか。」"""
    return [_japanese(fact) if fact.language == "ja" else _english(fact) for fact in facts]


_NUMBER = re.compile(r"[0-9０-９](?:[0-9０-９,，.．:]*[0-9０-９])?")
_POLITE = (  # what a statement ends with → what the question ends with
    ("してください", "すればよいですか"),
    ("ください", ""),
    ("ます", "ますか"),
    ("ました", "ましたか"),
    ("ません", "ませんか"),
    ("でなければならない", "でなければなりませんか"),
    ("なければならない", "なければなりませんか"),
    ("ことができる", "ことができますか"),
    ("であった", "でしたか"),
    ("である", "ですか"),
    ("です", "ですか"),
    ("だ", "ですか"),
    ("される", "されますか"),
    ("する", "しますか"),
)
_PLAIN_PREDICATE = re.compile(r"[うくぐすつぬぶむるいた]$")


def _japanese(fact: Fact) -> str:
    opening, closing = ("「", "」") if fact.kind == "called" else ("", "")
    before = fact.before.removesuffix(opening)
    after = fact.after.removeprefix(closing).rstrip("。．.!！")
    return f"{before}{_japanese_word(fact)}{_asked(after)}。"


def _japanese_word(fact: Fact) -> str:
    match fact.kind:
        case "name":
            return "だれ"
        case "called":
            return "何"
        case "code":
            return "何番"
        case "weekday":
            return "何曜日"
        case "bare":
            return "いくつ"
    if fact.value.endswith("円"):
        return "いくら"
    return _NUMBER.sub("何", re.sub(r"^(午前|午後)\s?", "", fact.value)).replace("万", "").replace("億", "")


def _asked(ending: str) -> str:
    """Make a question of the rest of a statement."""
    if ending in ("", "とする"):
        return "ですか"
    for statement, question in _POLITE:
        if ending.endswith(statement):
            return ending.removesuffix(statement) + question
    return ending + ("のですか" if _PLAIN_PREDICATE.search(ending) else "ですか")


def _english(fact: Fact) -> str:
    before, after = fact.before, fact.after.rstrip(".!")
    copula = re.fullmatch(
        r"((?:The|An?|Our|Its)\b.*?) (is|are|was|were)( limited to| set to| set at)?\s+", before
    )
    if copula and not after.strip():
        return f"What {copula[2]} {_lowered(copula[1])}{copula[3] or ''}?"
    return f"{before}{_english_word(fact)}{after}?"


def _lowered(topic: str) -> str:
    return topic[0].lower() + topic[1:]


def _english_word(fact: Fact) -> str:
    match fact.kind:
        case "money" | "money_in_words":
            return "how much"
        case "date":
            return "what date"
        case "clock":
            return "what time"
        case "code":
            return "which code"
    asked = _NUMBER.sub("how many", fact.value)
    return asked.replace("how many %", "what percentage").replace("how many percent", "what percentage")


# --- By the served model: a few examples, then the fact ---

_SHOWN = (  # heading, sentence, value, question
    (
        "駐車場の利用",
        "駐車場の月額利用料は、普通車の場合は6,380円とする。",
        "6,380円",
        "普通車の駐車場を借りると、月にいくらかかりますか。",
    ),
    (
        "Maintenance",
        "The filter of the dryer is replaced every 900 hours.",
        "900 hours",
        "How often does the dryer's filter need replacing?",
    ),
    (
        "表彰",
        "改善賞の推薦は、毎年4月16日までに事務局へ届ける。",
        "4月16日",
        "改善賞の推薦はいつまでに届ければよいですか。",
    ),
)


def from_model(complete: Callable[[Sequence[str]], Sequence[str]]) -> Callable[[Sequence[Fact]], list[str]]:
    """Return a writer that asks a model. `complete` continues prompts, as many at once as it likes.

    Worth it from about 3B parameters on. Qwen2.5-Coder-0.5B wrote 4 usable questions out of 30, at 2 a
    second; the templates wrote 27.
    """

    def write(facts: Sequence[Fact]) -> list[str]:
        return [_first_line(text) for text in complete([prompt(fact) for fact in facts])]

    return write


def prompt(fact: Fact) -> str:
    """Return the prompt whose continuation is the question."""
    shown = [_shot(*example) for example in _SHOWN]
    return "\n\n".join([*shown, _shot(fact.passage.place.heading, fact.sentence, fact.value, "").rstrip()])


def _shot(heading: str, sentence: str, value: str, question: str) -> str:
    lines = (f"Section: {heading}", f"Sentence: {sentence}", f"Answer: {value}", f"Question: {question}")
    return "\n".join(lines)


def _first_line(text: str) -> str:
    line = text.strip().split("\n")[0].strip()
    return line if line.endswith(("?", "？", "か。", "か")) else ""
