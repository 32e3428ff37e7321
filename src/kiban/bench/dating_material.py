"""What the dating bench asks: real regulations, one version a fiscal year, and questions for some of them.

The versions say the same, word for word, so that nothing but the date tells them apart, and the date is said
in four ways: in the title, in the title by the era, by the day on which the file was modified alone, and not
at all (every file was copied on one day).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from kiban.backends.parsers.markdown import read_markdown
from kiban.bench.beir import JudgedQuestion
from kiban.domain.access import EVERYONE, Audience
from kiban.domain.document import ParsedDocument, SourceFile
from kiban.errors import SettingsError

YEARS = range(2023, 2027)  # fiscal years
TODAY = date(2026, 11, 25)
COPIED = datetime(2026, 10, 1, tzinfo=UTC)
LARGEST = 3_000  # characters; one of the work rules would be more than all others
ASKED = 3  # headings a regulation
TOLD = ("title", "era", "modified", "copied")
ALL_READ = Audience(frozenset({EVERYONE}))
_NUMBERED = re.compile(r"^(?:第\d+条(?:の\d+)?\s*|\d+_)")


@dataclass(frozen=True, slots=True)
class Regulation:
    """A regulation without its date."""

    name: str  # with the company's
    parsed: ParsedDocument
    headings: tuple[str, ...]  # without their numbers


def regulations(folders: Mapping[str, Path]) -> list[Regulation]:
    """Read the rules of some companies, a folder of Markdown each. Raises SettingsError without any."""
    found = []
    for company, folder in folders.items():
        for path in sorted(folder.glob("[0-9]*.md")):
            parsed = read_markdown(path.read_bytes(), path.stem)
            name = f"{company} {_NUMBERED.sub('', parsed.title or path.stem)}"
            headings = _headings(parsed)
            if len(parsed.text) <= LARGEST and len(headings) >= ASKED:
                found.append(Regulation(name, parsed, headings))
    if not found:
        raise SettingsError("No regulations in Markdown are there.", mend="kiban bench dates --data DIR")
    return found


def versions(some: list[Regulation], told: str) -> Iterator[tuple[SourceFile, ParsedDocument]]:
    """Yield each regulation once a year, with its date told in one of TOLD."""
    chance = random.Random(7)
    for number, one in enumerate(some):
        for year in YEARS:
            # Half of them are saved before the year that they are for.
            saved = datetime(year, 3, 1, tzinfo=UTC) + timedelta(days=chance.randrange(61))
            title = {"title": f"{one.name}（{year}年度）", "era": f"{one.name}（令和{year - 2018}年度）"}
            file = SourceFile(
                uri(number, year),
                Path(),
                len(one.parsed.text),
                sha256(f"{number} {year} {told}".encode()).hexdigest(),
                ALL_READ,
                modified=saved if told == "modified" else COPIED,
            )
            yield file, replace(one.parsed, title=title.get(told, one.name))


def questions(some: list[Regulation], told: str) -> Iterator[JudgedQuestion]:
    """Yield questions for one year, for years since and until one, and for last year, in each way of saying
    it. Where nothing tells the versions apart, each of them is right."""
    chance = random.Random(7)
    for number, one in enumerate(some):
        for heading in chance.sample(one.headings, ASKED):
            year = chance.choice(YEARS[1:])
            asked = {
                f"{year}年度の{one.name}の{heading}は": [year],
                f"令和{year - 2018}年度の{one.name}では、{heading}はどうなっていますか": [year],
                f"{year}年4月以降の{one.name}の{heading}について": [at for at in YEARS if at >= year],
                f"{year}年3月までの{one.name}の{heading}について": [at for at in YEARS if at < year],
                f"昨年度の{one.name}に定める{heading}": [TODAY.year - 1],
            }
            for text, right in asked.items():
                years = YEARS if told == "copied" else right
                yield JudgedQuestion(f"{text} {told}", text, {uri(number, at): 1.0 for at in years})


def uri(number: int, year: int) -> str:
    """Name a version by nothing that is a date."""
    return f"{number}/{'abcdefgh'[year - YEARS.start]}.md"


def _headings(parsed: ParsedDocument) -> tuple[str, ...]:
    last = (section.place.heading.split(" > ")[-1].replace("\u3000", " ") for section in parsed.sections)
    return tuple(
        dict.fromkeys(name for one in last if 2 <= len(name := _NUMBERED.sub("", one).strip()) <= 20)
    )
