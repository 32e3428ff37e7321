"""An operator cuts a house's documents another way, flips to that, back again, and drops it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kiban.backends.postgres.connect import Postgres
from kiban.domain.access import Principal
from kiban.domain.question import Passage
from kiban.errors import GenerationInUse, NoSuchGeneration, SettingsError, UnfitGeneration
from kiban.ingest.chunking import CHUNKING
from kiban.release import ledger
from kiban.settings import Settings
from kiban.wiring.answers import Answers
from kiban.wiring.documents import Documents
from kiban.wiring.generations import Generations
from kiban.wiring.records import Records
from kiban.wiring.releases import Releases
from tests.small_house import SmallFurniture

SOMEONE, HR = Principal("someone", frozenset()), Principal("aoi", frozenset({"hr"}))
RULES = "第1条 出張の旅費は実費とする。宿泊費は一泊につき一万円を限度とする。\n\n" * 8
PAY = "給与は毎月二十五日に支払う。\n\n" * 20


class House:
    def __init__(self, folder: Path, postgres: Postgres) -> None:
        self.folder = folder / "documents"
        for name, text, reader in (("rules", RULES, "everyone"), ("pay", PAY, "hr")):
            (self.folder / name).mkdir(parents=True)
            (self.folder / name / f"{name}.md").write_text(text)
            (self.folder / name / ".readers.yaml").write_text(f"readers: [{reader}]")
        self.furniture = SmallFurniture(Settings(state=folder, documents=self.folder), postgres)
        self.releases = Releases(self.furniture)
        self.generations = Generations(self.furniture, self.releases)
        self.answers = Answers(self.furniture, self.releases, Records(self.furniture))
        ledger.found(self.furniture.ledger, self.releases.base, actor="kiban up")
        self.ingest()

    def ingest(self) -> None:
        assert not Documents(self.furniture).ingest(str(self.folder)).failed

    def cut(self) -> tuple[str, str]:
        cut = self.furniture.cut_of(self.releases.in_force().generation)
        return cut.tokenizer, cut.chunking

    def flip(self, generation: int) -> None:
        self.generations.flip(generation, actor="aoi", reason="finer", evidence="1-2.json")


@pytest.fixture
def house(tmp_path: Path, postgres: Postgres) -> Iterator[House]:
    house = House(tmp_path, postgres)
    yield house
    house.furniture.parser.close()


def longest(passages: list[Passage]) -> int:
    return max(len(passage.original) for passage in passages)


def test_a_finer_cut_answers_after_a_flip_and_the_old_one_after_flipping_back(house: House) -> None:
    old = house.releases.in_force().generation
    before = house.answers.find("宿泊費の限度", SOMEONE)
    new = house.generations.build(None, None, chunking="40-60", tokenizer="sudachi-core-C-1")
    assert house.generations.build(None, None, chunking="40-60", tokenizer="sudachi-core-C-1") == new
    assert house.answers.find("宿泊費の限度", SOMEONE) == before

    house.flip(new)
    assert house.cut() == ("sudachi-core-C-1", "lines-and-sentences-40-60-1")
    after = house.answers.find("宿泊費の限度", SOMEONE)
    assert after and longest(after) < longest(before)
    assert {p.title for p in house.answers.find("給与はいつ", SOMEONE, 50)} == {before[0].title}
    assert "pay/pay.md" in {p.uri for p in house.answers.find("給与はいつ", HR, 50)}
    for passage in before:  # a citation given before opens at its span
        opened = house.answers.document(passage.document_id, SOMEONE)
        said = "".join(p.original for p in opened if passage.span.start <= p.span.start < passage.span.end)
        assert "".join(said.split()) == "".join(passage.original.split())

    (house.folder / "rules" / "new.md").write_text("傘は受付で借りられる。" * 30)
    house.ingest()
    assert all(one.whole for one in house.generations.all())
    assert "rules/new.md" in {p.uri for p in house.answers.find("傘を借りる", SOMEONE)}
    assert house.releases.base.generation == new  # what is learnt next begins there
    assert house.furniture.generation(house.furniture.base_embedder) == new

    house.generations.flip_back(actor="aoi", reason="coarser")
    assert house.cut() == ("sudachi-core-A-1", CHUNKING)
    assert house.answers.find("宿泊費の限度", SOMEONE)[0].original == before[0].original
    assert "rules/new.md" in {p.uri for p in house.answers.find("傘を借りる", SOMEONE)}
    with pytest.raises(GenerationInUse):
        house.generations.drop(old)


def test_what_is_not_whole_or_cannot_be_cut_does_not_answer(house: House) -> None:
    furniture = house.furniture
    empty = furniture.generation(furniture.base_embedder, "sudachi-core-B-1", CHUNKING)
    with pytest.raises(UnfitGeneration, match=r"2 documents are missing.*--tokenizer sudachi-core-B-1"):
        house.flip(empty)
    unknown = furniture.library.add_generation("old", "o", 64, "sudachi-core-A-0", CHUNKING)
    with pytest.raises((UnfitGeneration, SettingsError)):
        house.flip(unknown)
    for how in ({"tokenizer": "words-1"}, {"chunking": "350-250"}):
        with pytest.raises(SettingsError):
            house.generations.build(None, None, **how)  # type: ignore[arg-type]
    for generation in (empty, unknown):
        house.generations.drop(generation)
    assert [one.uncut for one in house.generations.all()] == [0]
    with pytest.raises(NoSuchGeneration):
        house.generations.drop(empty)
