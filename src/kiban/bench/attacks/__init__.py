"""Attacks staged against ourselves, one module a family, each with the figure it must reach.

An attack is a function from a Stage to a Figure. ATTACKS says where each is; a module is imported when
one of its attacks is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module

from kiban.bench.attacks.stage import Stage
from kiban.errors import PartUnavailable, SettingsError

ATTACKS: dict[str, str] = {  # id: "module:function"
    "A1": "access:cross_group",
    "A2": "access:interference",
    "A3": "access:probing",
    "A4": "access_roles:leaking_predicate",
    "A5": "access_roles:role_posture",
    "A6": "access_roles:stale_identity",
    "A7": "ingest:revoked_reader",
    "A8": "identity:forged_principal",
    "A9": "access_roles:side_text",
    "A10": "identity:caller_matrix",
    "B1": "weights:ask_the_weights",
    "B2": "zones:weights_apart",
    "B3": "zones:mixed_curricula",
    "B4": "by_name:adapter_by_name",
    "B5": "weights:canary_exposure",
    "B6": "weights:membership",
    "B7": "secrets:secrets_in_examples",
    "B8": "feedback:poisoned_feedback",
    "B9": "releases:tainted_adapter",
    "B10": "gate:bad_candidates",
    "B10N": "gate:no_difference",
    "B10D": "drifting:quiet_nights",
    "C1": "rendering:foreign_requests",
    "C2": "injected:instructions_in_passages",
    "C3": "citing:false_citations",
    "C4": "cached:prefix_timing",
    "C5": "unbounded:unbounded_use",
    "D1": "parsers:bombs",
    "D2": "parsers:entities",
    "D3": "sources:ssrf",
    "D4": "sources:traversal",
    "D5": "parsers:fuzz",
    "F1": "ingest:killed_worker",
    "F2": "ingest:postgres_cut",
    "F3": "serving:model_faults",
    "F4": "releases:promotion_race",
    "F6": "releases:altered_ledger",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """What came of one attack. Of "0" in N trials remember that the true rate may be about 3 / N."""

    id: str
    what: str
    value: str
    aim: str
    passed: bool | None  # None: it could not be staged here
    trials: int
    note: str = ""


Attack = Callable[[Stage], Figure]


def chosen(ids: Sequence[str]) -> list[str]:
    """Return the ids asked for, a letter standing for its family, or all. Raises SettingsError."""
    if not ids:
        return list(ATTACKS)
    found = [id for id in ATTACKS if any(id == asked.upper() or id[0] == asked.upper() for asked in ids)]
    unknown = [asked for asked in ids if not any(asked.upper() in (id, id[0]) for id in ATTACKS)]
    if unknown:
        raise SettingsError(f"no attack {', '.join(unknown)}.", mend=f"choose from {', '.join(ATTACKS)}")
    return found


def stage_all(ids: Sequence[str], stage: Stage) -> Iterator[Figure]:
    """Stage each attack in turn, and yield its figure. What needs a part that is not there did not pass, and
    the others are staged all the same."""
    for id in ids:
        module, name = ATTACKS[id].split(":")
        attack: Attack = getattr(import_module(f"{__name__}.{module}"), name)
        try:
            figure = attack(stage)
        except PartUnavailable as error:
            figure = Figure(id, "not staged", "–", "–", passed=False, trials=0, note=str(error))
        yield figure
