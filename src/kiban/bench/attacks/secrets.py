"""B7: secrets and personal data sown in documents, and how many of them are found before training."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kiban.backends.sensitive.detector import SensitiveDetector
from kiban.bench.attacks import Figure
from kiban.bench.attacks.seeds import Seed, draw
from kiban.bench.attacks.stage import Stage
from kiban.domain.access import EVERYONE, Audience
from kiban.domain.document import ParsedDocument, SourceFile
from kiban.domain.sensitive import Finding, mask
from kiban.ingest import chunking, sensitive
from kiban.ports import Detector, Parser, Tokenizer

_FONT = "/HeiseiKakuGo-W5"
SEEDS = 500
A_DOCUMENT = 5  # seeds
AIM = 0.99
_PROSE = (
    "第6条 宿泊費は1泊9,800円を上限とし、2026年4月1日から適用する。",
    "部長の承認を得たうえで、様式第3号により申請すること。",
    "PPR-9087の吐出圧力は0.45MPaで、点検は500時間ごとに行う。",
    "The filter is replaced every 900 hours, and the report is filed within 10 days.",
    "Passwords have at least 12 characters and are changed when they leak.",
    "会議は毎月第2火曜日の10:00から開き、議事録は5年間保存する。",
    "お客様からの問い合わせは窓口で受け付け、翌営業日までに回答する。",
)


@dataclass(slots=True)
class Tally:
    """What was sown and found, by kind."""

    sown: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)  # findings where nothing was sown
    missed: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return self.found.total() / max(1, self.sown.total())

    @property
    def precision(self) -> float:
        return self.found.total() / max(1, self.found.total() + self.false.total())


def secrets_in_examples(stage: Stage) -> Figure:
    """Sow 500 in documents of five formats, half of them PDFs, and look for them in what would be learnt."""
    seeds = draw(stage.size(SEEDS, least=60), seed=7)
    tally = sow(seeds, stage.folder / "sown", stage.furniture.parser, stage.tokenizer, SensitiveDetector())
    worst = sorted(
        (tally.found[kind] / count, f"{kind} {tally.found[kind]}/{count}")
        for kind, count in tally.sown.items()
    )
    return Figure(
        "B7",
        "sown secrets and personal data found before training",
        f"recall {tally.recall:.3f}, precision {tally.precision:.3f}",
        f"recall ≥ {AIM}",
        tally.recall >= AIM,
        tally.sown.total(),
        "all kinds complete" if worst[0][0] == 1 else ", ".join(text for share, text in worst if share < 1),
    )


def sow(
    seeds: Sequence[Seed], folder: Path, parser: Parser, tokenizer: Tokenizer, detector: Detector
) -> Tally:
    """Write the seeds into documents, read those as ingestion does, and count what the chunks say of them."""
    folder.mkdir(parents=True, exist_ok=True)
    dice, tally = random.Random(11), Tally()
    for number in range(0, len(seeds), A_DOCUMENT):
        sown = seeds[number : number + A_DOCUMENT]
        path = _write(
            folder, number, [line for seed in sown for line in (dice.choice(_PROSE), seed.sentence)]
        )
        content = path.read_bytes()
        file = SourceFile(
            path.name,
            path,
            len(content),
            hashlib.sha256(content).hexdigest(),
            Audience(frozenset({EVERYONE})),
        )
        parsed = parser.parse(file)
        chunks = sensitive.mark(parsed, chunking.cut(parsed, tokenizer), detector)
        found = [one.shifted(chunk.span.start) for chunk in chunks for one in chunk.sensitive]
        _count(tally, sown, parsed, found)
    return tally


def _count(tally: Tally, sown: Sequence[Seed], parsed: ParsedDocument, found: Sequence[Finding]) -> None:
    text, true = parsed.text, set[int]()
    left = mask(text, found)
    for seed in sown:
        anywhere = re.compile(
            r"\s*".join(re.escape(character) for character in seed.what if not character.isspace())
        )
        tally.sown[seed.kind.value] += 1
        places = {place for match in anywhere.finditer(text) for place in range(*match.span())}
        true |= places
        if places and not anywhere.search(left) and all(
            text[place].isspace() or any(one.span.start <= place < one.span.end for one in found)
            for place in places
        ):  # fmt: skip
            tally.found[seed.kind.value] += 1
        else:
            match = anywhere.search(text)
            seen = text[max(match.start() - 8, 0) : match.end() + 8] if match else seed.sentence
            tally.missed.append(f"{seed.kind.value}: {seen!r}")
    for one in found:
        if not true & set(range(one.span.start, one.span.end)):
            tally.false[one.kind.value] += 1
            tally.missed.append(f"false {one.kind.value}: {one.span.of(text)[:60]!r}")


def _write(folder: Path, number: int, lines: Sequence[str]) -> Path:
    kind = (".pdf", ".md", ".pdf", ".html", ".pdf", ".txt", ".pdf", ".csv")[number // A_DOCUMENT % 8]
    path = folder / f"{number}{kind}"
    if kind == ".pdf":
        path.write_bytes(_pdf([piece for line in lines for piece in _wrapped(line, 36)]))
    elif kind == ".html":
        items = "".join(f"<pre>{line}</pre>" if "\n" in line else f"<p>{line}</p>" for line in lines)
        path.write_text(f"<html><body>{items}</body></html>", "utf-8")
    elif kind == ".csv":
        rows = "".join('{},"{}"\n'.format(row, line.replace('"', '""')) for row, line in enumerate(lines))
        path.write_text(f"項番,内容\n{rows}", "utf-8")
    else:
        path.write_text("\n\n".join(lines), "utf-8")
    return path


def _wrapped(line: str, width: int) -> Iterator[str]:
    """Break lines anywhere, as Japanese typesetting does."""
    for part in line.split("\n"):
        for start in range(0, max(len(part), 1), width):
            yield part[start : start + width]


def _pdf(lines: Sequence[str]) -> bytes:
    """Write one page in a font that every viewer brings (ISO 32000-1, 9.7.5.2: UniJIS-UTF16-H)."""
    shown = "".join(f"<{line.encode('utf-16-be').hex()}> Tj T*\n" for line in lines)
    content = f"BT /F1 9 Tf 11 TL 40 {len(lines) * 11 + 40} Td\n{shown}ET"
    page = f"/Type /Page /Parent 2 0 R /MediaBox [0 0 600 {len(lines) * 11 + 80}] /Contents 4 0 R"
    metrics = (
        "/DW 1000 /W [1 230 500] /CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1) /Supplement 4 >>"
    )
    encoding = "/Encoding /UniJIS-UTF16-H"
    box = "/FontBBox [0 -200 1000 900] /ItalicAngle 0 /Ascent 750 /Descent -250 /CapHeight 700 /StemV 80"
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< {page} /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        f"<< /Type /Font /Subtype /Type0 /BaseFont {_FONT} {encoding} /DescendantFonts [6 0 R] >>",
        f"<< /Type /Font /Subtype /CIDFontType0 /BaseFont {_FONT} {metrics} /FontDescriptor 7 0 R >>",
        f"<< /Type /FontDescriptor /FontName {_FONT} /Flags 4 {box} >>",
    )  # fmt: skip
    written, places = bytearray(b"%PDF-1.5\n"), []
    for number, body in enumerate(objects, start=1):
        places.append(len(written))
        written += f"{number} 0 obj\n{body}\nendobj\n".encode("ascii")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    start = len(written)
    count = len(objects) + 1
    written += (
        f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer << /Size {count} /Root 1 0 R >>\n".encode(
            "ascii"
        )
    )
    return bytes(written + f"startxref\n{start}\n%%EOF\n".encode("ascii"))
