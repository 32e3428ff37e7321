"""A zone's documents teach an adapter of their own, which answers its members and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kiban.backends.postgres.connect import Postgres
from kiban.bench.attacks.zoned import (
    BOTH,
    HR,
    LAB,
    ZonedHouse,
    fact,
    make_models,
    naming_itself,
    question,
    uris,
    zone,
)
from kiban.domain.access import ALL, Audience, Principal
from kiban.domain.evidence import Arm, Outcome
from kiban.domain.learning import Candidate, EveryonesPairs
from kiban.domain.release import Action
from kiban.errors import MixedAudience, NotEarned, TooFewExamples

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def company(postgres: Postgres, models: Path, tmp_path: Path) -> Iterator[ZonedHouse]:
    """Give a house with documents for everyone, for each of two groups, and for the two together."""
    with naming_itself().serving() as url:
        house = ZonedHouse(postgres, tmp_path / "state", models, url, question_kinds=["question"])
        house.put(ALL, HR, LAB, BOTH)
        yield house
        house.close()


@pytest.fixture
def released(company: ZonedHouse) -> dict[Audience, Candidate]:
    """Release an adapter for everyone and one for each zone; return their candidates."""
    candidates = {audience: company.candidate(audience) for audience in (ALL, HR, LAB)}
    for candidate in candidates.values():
        company.release(candidate)
    return candidates


def weights_of(company: ZonedHouse, audience: Audience) -> str | None:
    release = company.house.releases.in_force()
    own = release.zone(audience)
    return release.adapter if audience.is_everyone else own and own.name


@pytest.mark.parametrize("audience", [ALL, HR, LAB, BOTH], ids=str)
def test_a_curriculum_asks_about_its_zone_and_shows_what_all_members_may_read(
    company: ZonedHouse, audience: Audience
) -> None:
    written = company.house.weights.write_curriculum(audience)
    asked = {e.question.lineage.uri.split("/")[0] for e in written.examples if e.lineage}
    assert asked == {audience.label}
    readable = {each.label for each in (ALL, HR, LAB, BOTH) if each.covers(audience)}
    assert {uri.split("/")[0] for uri in uris(written)} <= readable
    assert written.audience == audience
    held_out = company.furniture.candidate_folder(written).held_out()
    assert held_out and not {each.lineage.uri for each in held_out} & {
        e.question.lineage.uri for e in written.examples
    }


def test_what_serves_everyone_refuses_a_zones_curriculum(company: ZonedHouse) -> None:
    written = company.house.weights.write_curriculum(HR)
    assert written.pairs == ()
    with pytest.raises(MixedAudience, match="for hr"):
        company.house.weights.train_embedder(written)
    with pytest.raises(MixedAudience):
        EveryonesPairs.of(written)
    assert EveryonesPairs.of(company.house.weights.write_curriculum()) != ()


def test_a_zone_that_is_too_small_gets_none_and_is_answered_all_the_same(company: ZonedHouse) -> None:
    small = zone("hr", "plant")
    for number in range(9):
        company.narrow(f"{LAB.label}/{number:02}.md", small)
    with pytest.raises(TooFewExamples, match="9 documents; 10 are needed"):
        company.house.weights.write_curriculum(small)
    standing = {one.audience: one.large for one in company.house.weights.zones()}
    assert standing == {HR: True, LAB: True, BOTH: True, small: False}
    model, answer = company.ask(question(LAB, 3), "plant")
    assert model == "base"
    assert answer.passages[0].original == fact(LAB, 3)


def test_each_is_answered_by_the_weights_of_what_they_may_read(
    company: ZonedHouse, released: dict[Audience, Candidate]
) -> None:
    everyones, hrs, labs = (weights_of(company, audience) for audience in released)
    assert None not in (everyones, hrs, labs) and len({everyones, hrs, labs}) == 3
    assert company.furniture.base.adapters.adapters() == {everyones, hrs, labs}
    about_hr, about_lab = question(HR, 4), question(LAB, 4)
    assert company.ask(about_hr, "hr")[0] == hrs
    assert company.ask(about_lab, "lab")[0] == labs
    assert company.ask(about_lab, "hr", "lab")[0] == labs
    for groups in ((), ("lab",), ("plant", "hr2")):
        assert company.ask(about_hr, *groups)[0] == everyones
    assert company.ask(question(ALL, 4), "hr")[0] == everyones
    assert company.ask(question(BOTH, 4), "hr")[0] == everyones  # a zone without an adapter of its own


def test_whoever_leaves_a_group_leaves_its_weights_with_the_next_question(
    company: ZonedHouse, released: dict[Audience, Candidate]
) -> None:
    assert company.ask(question(HR, 4), "hr")[0] == weights_of(company, HR)
    assert company.ask(question(HR, 4))[0] == weights_of(company, ALL)


@pytest.mark.parametrize("how", ["deleted", "narrowed"])
def test_a_zone_falls_back_within_the_same_question_and_alone(
    company: ZonedHouse, released: dict[Audience, Candidate], how: str
) -> None:
    learnt = next(seen.uri for seen in released[HR].lineage if seen.uri.startswith(HR.label))
    asked = question(HR, 4) if not learnt.endswith("04.md") else question(HR, 5)
    everyones, hrs, labs = (weights_of(company, audience) for audience in released)
    assert company.ask(asked, "hr")[0] == hrs
    if how == "deleted":
        company.delete(learnt)
    else:
        company.narrow(learnt, zone("board"))
    assert company.ask(asked, "hr")[0] == everyones
    assert company.ask(question(LAB, 4), "lab")[0] == labs
    assert company.ask(question(ALL, 4))[0] == everyones
    entry = company.house.releases.withdraw(actor="tend")
    assert entry is not None and entry.action is Action.WITHDRAWN
    assert "adapter of zone hr" in entry.reason and learnt in entry.reason
    assert company.ask(asked, "hr")[0] == everyones
    shelf = company.furniture.registry.shelf(f"kiban-adapter-{HR.label}")
    assert shelf.versions and shelf.under("champion") is None
    with pytest.raises(NotEarned, match=learnt.split("/")[1]):
        company.release(released[HR])


def test_whatever_saw_everyones_document_goes_with_it_and_nothing_else(
    company: ZonedHouse, released: dict[Audience, Candidate]
) -> None:
    saw = {audience: {seen.uri for seen in candidate.lineage} for audience, candidate in released.items()}
    for_everyone = sorted(uri for uri in set().union(*saw.values()) if uri.startswith("everyone/"))
    for uri in for_everyone[:3]:
        company.delete(uri)
        for audience in released:
            saw[audience] = saw[audience] - {uri} if uri not in saw[audience] else {"gone"}
        left = {audience for audience in released if weights_of(company, audience)}
        assert left == {audience for audience in released if saw[audience] != {"gone"}}


def test_more_readers_taint_nothing(company: ZonedHouse, released: dict[Audience, Candidate]) -> None:
    seen = next(each.uri for each in released[HR].lineage if each.uri.startswith(HR.label))
    company.narrow(seen, zone("hr", "plant"))
    assert weights_of(company, HR)
    company.narrow(seen, ALL)
    assert weights_of(company, HR)


def test_a_candidate_is_judged_as_a_member_of_its_zone_against_base_and_everyones_adapter(
    company: ZonedHouse,
) -> None:
    company.release(company.candidate(ALL))
    verdict = company.house.evidence.judge(company.candidate(HR))
    assert set(verdict.evaluation.arms) == {*Arm} - {Arm.HOSTED, Arm.CHAMPION_RAG, Arm.OTHER_RAG}
    assert {each.against for each in verdict.evaluation.comparisons} == {Arm.BASE_RAG, Arm.EVERYONE_RAG}
    assert verdict.zone == HR
    assert verdict.outcome is not Outcome.PASS
    page = company.house.evidence.report(company.house.weights.candidate()).read_text("utf-8")
    assert "against everyone's adapter" in page and "for hr" in page


def test_outside_the_house_a_zone_is_known_by_no_name_of_its_groups_or_documents(
    company: ZonedHouse, released: dict[Audience, Candidate]
) -> None:
    registry = company.furniture.registry
    assert set(registry.versions) == {"kiban-adapter", *(f"kiban-adapter-{z.label}" for z in (HR, LAB))}
    _, _, card = registry.versions[f"kiban-adapter-{HR.label}"][1]
    assert "hr" not in card.replace("three", "").split() and ".md" not in card
    assert company.house.door.wishes() == []


def test_what_is_told_of_an_answer_names_no_zone_but_the_one_that_wrote_it(
    company: ZonedHouse, released: dict[Audience, Candidate]
) -> None:
    before = company.ask(question(ALL, 4), "lab")[1].release_id
    to_hr = company.ask(question(HR, 4), "hr")[1].release_id
    company.delete(next(each.uri for each in released[HR].lineage if each.uri.startswith(HR.label)))
    lab = Principal("someone", frozenset({"lab"}))
    assert company.ask(question(ALL, 4), "lab")[1].release_id == before
    assert company.house.answers.release_id(lab) == before
    kept = company.furniture.ledger.release(to_hr)
    assert [one.audience for one in kept.zones] == [HR]
    assert {record.what.release_id for record in company.house.records.kept()} == {before, to_hr}


def test_a_server_that_forgot_a_zones_adapter_is_answered_for_by_everyones(
    company: ZonedHouse, released: dict[Audience, Candidate], models: Path
) -> None:
    with naming_itself().serving() as restarted:
        company.furniture.__dict__.pop("bases")[0].close()
        company.furniture.settings = company.furniture.settings.model_copy(update={"vllm_urls": (restarted,)})
        everyones = weights_of(company, ALL)
        release = company.house.releases.in_force()
        company.furniture.base.adapters.load(everyones, Path(release.adapter_path or ""))
        assert company.ask(question(HR, 4), "hr")[0] == everyones
        assert company.house.releases.converge()
        assert company.ask(question(HR, 4), "hr")[0] == weights_of(company, HR)
