"""The bench of adaptation: half of a corpus teaches, the other judges, and another shows what was lost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_files import make_tiny_embedder

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.bench import adapt_report
from kiban.bench.adapting import AdaptBench, Effort
from kiban.bench.classroom import Classroom
from kiban.bench.server import Server
from kiban.domain.learning import QuestionKind
from kiban.errors import SettingsError
from kiban.settings import Settings
from kiban.testing import WordTokenizer
from kiban.wiring import House

SUBJECTS = ("有給休暇", "旅費", "部品", "交換", "規程", "給", "費", "部")
SEED = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give 48 pages, two index terms of each, and of the first eight a question with its answer."""
    made = tmp_path_factory.mktemp("corpus")
    pages = {f"p{n}": f"{SUBJECTS[n % 8]}{SUBJECTS[n // 8]}規程は{n}日。" for n in range(48)}
    corpus = [{"_id": id, "title": id, "text": text} for id, text in pages.items()]
    asked = [{"_id": f"{id}-{n}", "text": f"{text[:4]} {n}"} for id, text in pages.items() for n in (1, 2)]
    asked += [{"_id": f"p{n}-q", "text": f"規程は何日？ {n}", "answers": [f"{n}日"]} for n in range(8)]
    for name, rows in (("corpus", corpus), ("queries", asked)):
        (made / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    (made / "qrels.tsv").write_text(
        "".join(f"{row['_id']}\t{str(row['_id']).split('-')[0]}\t1\n" for row in asked)
    )
    return made


@pytest.fixture
def server(postgres_server: EmbeddedPostgres) -> Server:
    return Server(postgres_server.dsn("postgres"), postgres_server.passwords)


def test_a_set_without_answers_is_halved_and_every_recipe_is_told(
    folder: Path, server: Server, tmp_path: Path
) -> None:
    base = make_tiny_embedder(tmp_path / "base")
    house = House(Settings(state=tmp_path / "state", embedder=str(base), llm=str(base)))
    recipes = ("gist, bare", "gist+kept+mined+matryoshka")
    effort = Effort(pairs=16, ranked=20, recipes=recipes, seed=SEED)
    bench = AdaptBench(house, effort, tmp_path / "kept", server)
    figures = bench.run(folder, None, folder, llm=False)
    assert [gain.recipe for gain in figures.gains] == list(recipes)
    assert all(gain.home.questions == gain.home_dense.questions == 20 for gain in figures.gains)
    assert figures.embedder == figures.gains[0].home and figures.arms == {}
    assert len({path.name for path in (tmp_path / "kept").glob("embedder (*)")}) == 2
    assert bench.answered(folder)
    written = adapt_report.keep([adapt_report.SetFigures("manual", "other", figures)], tmp_path / "out")
    assert [path.name for path in written] == ["adapt.json", "adapt.md", "adapt.png"]
    assert "| manual (20) | embedder, gist, bare: fused |" in written[1].read_text()


def test_a_recipe_that_nobody_knows_is_named(folder: Path, server: Server, tmp_path: Path) -> None:
    base = make_tiny_embedder(tmp_path / "base")
    house = House(Settings(state=tmp_path / "state", embedder=str(base), llm=str(base)))
    with pytest.raises(SettingsError, match="'mnrl'"):
        AdaptBench(house, Effort(recipes=("mnrl",)), tmp_path, server).run(folder, None, None, llm=False)


def test_halves_share_no_document_and_questions_keep_to_them(folder: Path, server: Server) -> None:
    with Classroom.of(folder, server.admin, server.passwords, WordTokenizer()) as room:
        taught, judging = room.halves(SEED)
        assert not taught & judging and len(taught | judging) == 48
        asked = room.questions(folder, None, SEED, taught)
        assert asked and {question.lineage.uri for question in asked} <= taught
        answered = room.questions(folder, None, SEED, answered=True)
        assert len(answered) == 8 and all(question.quote for question in answered)
        assert {one.kind for one in asked if not one.quote} == {QuestionKind.KEYWORD}


def test_so_many_documents_are_drawn_by_a_seed(folder: Path, server: Server) -> None:
    def uris(seed: int) -> set[str]:
        with Classroom.of(folder, server.admin, server.passwords, WordTokenizer(), 10, seed) as room:
            return {document.uri for document in room.documents().values()}

    assert len(uris(1)) == 10 and uris(1) == uris(1) != uris(2)


def test_a_gain_or_a_loss_is_held_against_the_aims(folder: Path, server: Server, tmp_path: Path) -> None:
    base = make_tiny_embedder(tmp_path / "base")
    house = House(Settings(state=tmp_path / "state", embedder=str(base), llm=str(base)))
    effort = Effort(pairs=8, ranked=8, recipes=("gist",), seed=SEED)
    figures = AdaptBench(house, effort, tmp_path / "kept", server).run(folder, None, None, llm=False)
    gain = figures.gains[0]
    home = replace(gain.home, old=0.5, new=0.56, difference=0.06)
    lost = replace(gain.home, old=0.5, new=0.49, difference=-0.01)
    told = replace(figures, gains=(replace(gain, home=home, outside=lost),))
    rows = adapt_report.markdown([adapt_report.SetFigures("a", "b", told)]).splitlines()
    assert next(row for row in rows if "fused" in row).endswith("| met / not met |")
