"""Ways to ask about a fact without a model, and with one: facts in, one text each out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Protocol

from kiban.adapt.facts import Fact, Language
from kiban.domain.learning import Author, QuestionKind


class QuestionWriter(Protocol):
    """Puts facts into the words of somebody who looks for them."""

    author: Author

    def write(self, facts: Sequence[Fact], kind: QuestionKind) -> Sequence[str]:
        """Return one text per fact, "" where nothing usable came of it."""
        ...


# --- By rule: the sentence itself, with the value replaced by the word that asks for it ---


class TemplateWriter:
    """Turns each sentence round: 「寮費は月額11,900円とする。」 → 「寮費は月額いくらですか。」

    Keywords are the sentence's own content words without the value, a claim says that something is laid
    down without saying what, and the colloquial form is the question as a colleague would put it. All of
    them use the words of the document, which no asker has to: such questions are easy to find.
    """

    author = Author("templates 2")

    def write(self, facts: Sequence[Fact], kind: QuestionKind) -> Sequence[str]:
        return [_TEMPLATES[kind, fact.language](fact) for fact in facts]


def from_templates(facts: Sequence[Fact]) -> Sequence[str]:
    """Return the plain question about each fact."""
    return TemplateWriter().write(facts, QuestionKind.QUESTION)


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


def _japanese_keywords(fact: Fact) -> str:
    return " ".join(dict.fromkeys(_JAPANESE_WORD.findall(fact.before)))


def _japanese_claim(fact: Fact) -> str:
    return f"{fact.before.removesuffix('「')}{_japanese_word(fact)}か、決まりがある。"


def _japanese_colloquial(fact: Fact) -> str:
    topic = re.sub(r"(?:について|に関して|の場合)?は、?", "って", fact.before.removesuffix("「"), count=1)
    return f"{topic}{_japanese_word(fact)}だっけ？"


def _english_keywords(fact: Fact) -> str:
    words = [word for word in re.findall(r"[A-Za-z][\w-]+", fact.before) if word.casefold() not in _SMALL]
    return " ".join(dict.fromkeys(words))


def _english_claim(fact: Fact) -> str:
    return f"It is laid down: {_lowered(fact.before)}{_english_word(fact)}{fact.after.rstrip('.!')}."


def _english_colloquial(fact: Fact) -> str:
    return f"Hey, {_lowered(_english(fact)).rstrip('?')}, do you know?"


_JAPANESE_WORD = re.compile(r"[一-龥々]{2,}|[ァ-ヴー]{2,}|[A-Za-z][\w-]+")
_SMALL = frozenset(
    "the a an is are was were be of to for in on at by with and or as that this it its our must may shall "
    "should can will has have not from than per each any all which who when where up set".split()
)


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


_TEMPLATES: dict[tuple[QuestionKind, Language], Callable[[Fact], str]] = {
    (QuestionKind.QUESTION, "ja"): _japanese,
    (QuestionKind.QUESTION, "en"): _english,
    (QuestionKind.KEYWORD, "ja"): _japanese_keywords,
    (QuestionKind.KEYWORD, "en"): _english_keywords,
    (QuestionKind.CLAIM, "ja"): _japanese_claim,
    (QuestionKind.CLAIM, "en"): _english_claim,
    (QuestionKind.COLLOQUIAL, "ja"): _japanese_colloquial,
    (QuestionKind.COLLOQUIAL, "en"): _english_colloquial,
}


# --- By a model: what is wanted, a few examples, then the fact ---

_WANTED = {
    QuestionKind.QUESTION: "a question an employee would ask, whose answer is given",
    QuestionKind.KEYWORD: "two to five keywords for a search engine",
    QuestionKind.CLAIM: "a statement for which the sentence is evidence, without the answer in it",
    QuestionKind.COLLOQUIAL: "the same question in the everyday words of a chat between colleagues",
}
_SHOWN = (  # heading, sentence, value, what is written of each kind
    (
        "駐車場の利用",
        "駐車場の月額利用料は、普通車の場合は6,380円とする。",
        "6,380円",
        {
            QuestionKind.QUESTION: "普通車の駐車場を借りると、月にいくらかかりますか。",
            QuestionKind.KEYWORD: "マイカー通勤 駐車 料金",
            QuestionKind.CLAIM: "会社に車をとめるにはお金を払わなければならない。",
            QuestionKind.COLLOQUIAL: "車で通いたいんだけど、とめるのに月いくらかかる？",
        },
    ),
    (
        "Maintenance",
        "The filter of the dryer is replaced every 900 hours.",
        "900 hours",
        {
            QuestionKind.QUESTION: "How often does the dryer's filter need replacing?",
            QuestionKind.KEYWORD: "dryer filter change interval",
            QuestionKind.CLAIM: "Drying equipment needs a new filter at fixed intervals.",
            QuestionKind.COLLOQUIAL: "When do we have to swap that filter in the dryer again?",
        },
    ),
    (
        "表彰",
        "改善賞の推薦は、毎年4月16日までに事務局へ届ける。",
        "4月16日",
        {
            QuestionKind.QUESTION: "改善賞の推薦はいつまでに届ければよいですか。",
            QuestionKind.KEYWORD: "改善賞 推薦 締切",
            QuestionKind.CLAIM: "改善賞に人を推すには期限がある。",
            QuestionKind.COLLOQUIAL: "改善賞に誰か推したいんだけど、締め切りいつだっけ？",
        },
    ),
)

Complete = Callable[[Sequence[str]], Sequence[str]]  # continue prompts, as many at once as it likes


class ModelWriter:
    """Asks a model that continues prompts: the one that is served.

    Worth it from about 3B parameters on. Qwen2.5-Coder-0.5B wrote 4 usable questions out of 30, at 2 a
    second; the templates wrote 27.
    """

    def __init__(self, name: str, complete: Complete) -> None:
        self.author = Author(name, _digest(*(prompt(None, kind) for kind in QuestionKind)))
        self._complete = complete

    def write(self, facts: Sequence[Fact], kind: QuestionKind) -> Sequence[str]:
        return [_usable(text, kind) for text in self._complete([prompt(fact, kind) for fact in facts])]


def prompt(fact: Fact | None, kind: QuestionKind) -> str:
    """Return the prompt whose continuation is wanted; without a fact, what of it is always the same."""
    shown = [_shot(heading, sentence, value, kind, texts[kind]) for heading, sentence, value, texts in _SHOWN]
    parts = [f"For each sentence, write {_WANTED[kind]}, in the sentence's language.", *shown]
    if fact is not None:
        parts.append(_shot(fact.passage.place.heading, fact.sentence, fact.value, kind, "").rstrip())
    return "\n\n".join(parts)


class HighlightWriter:
    """Asks a sequence-to-sequence model trained to ask for a marked answer (Chan and Fan 2019, "hl").

    T5-class question generators read "<hl> answer <hl>" within the sentence; they know one kind, questions.
    """

    def __init__(self, name: str, complete: Complete) -> None:
        self.author = Author(name, _digest(HIGHLIGHTED))
        self._complete = complete

    def write(self, facts: Sequence[Fact], kind: QuestionKind) -> Sequence[str]:
        if kind is not QuestionKind.QUESTION:
            return [""] * len(facts)
        return [_usable(text, kind) for text in self._complete([highlighted(fact) for fact in facts])]


HIGHLIGHTED = "generate question: {before}<hl> {value} <hl>{after}"


def highlighted(fact: Fact) -> str:
    return HIGHLIGHTED.format(before=fact.before, value=fact.value, after=fact.after)


def _shot(heading: str, sentence: str, value: str, kind: QuestionKind, text: str) -> str:
    label = kind.value.capitalize()
    return f"Section: {heading}\nSentence: {sentence}\nAnswer: {value}\n{label}: {text}"


def _usable(text: str, kind: QuestionKind) -> str:
    """Return the first line, if it is what was asked for."""
    line = text.strip().split("\n")[0].strip()
    if kind is QuestionKind.QUESTION and not line.endswith(("?", "？", "か。", "か")):
        return ""
    return line


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
