"""`kiban adapt judge promote rollback history`: documents become weights, and weights earn their release."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json, progress, show
from kiban.domain.evidence import Verdict

CandidateId = Annotated[str | None, typer.Argument(help="Which candidate; without it, the newest.")]
Reason = Annotated[str, typer.Option(help="Why, for the ledger.")]


def adapt(
    then_judge: Annotated[bool, typer.Option(help="Judge at once, and promote on a pass.")] = False,
    zone: Annotated[
        str, typer.Option(help="Train for one zone instead: its groups, with commas between them.")
    ] = "",
    every_zone: Annotated[bool, typer.Option(help="Train for each zone that is large enough.")] = False,
    as_json: Json = False,
) -> None:
    """Train an embedder and an adapter on what everyone may read, or the adapter of one zone; register a
    candidate."""
    from flows.adapt import adapt as flow
    from flows.zones import adapt_zone, adapt_zones
    from kiban.wiring import house

    if every_zone:
        with progress(quiet=as_json):
            adapt_zones(then_judge=then_judge)
        zones = house().weights.zones()
        show({str(zone.audience): zone.adapter for zone in zones}, as_json=as_json, title="Zones")
        return
    groups = [group.strip() for group in zone.split(",") if group.strip()]
    with progress(quiet=as_json):
        candidate_id = adapt_zone(groups, then_judge=then_judge) if groups else flow(then_judge=then_judge)
    show(asdict(house().weights.candidate(candidate_id)), as_json=as_json, title="Candidate")


def judge(
    candidate: CandidateId = None,
    other_llm: Annotated[
        bool, typer.Option("--other-llm", help="The other base model of the settings, as a candidate.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Judge a candidate on held-out documents. Changes nothing that answers."""
    from flows.adapt import judge as flow
    from flows.adapt import judge_base

    with progress(quiet=as_json):
        if other_llm:
            verdict = judge_base(then_promote=False, again=True)
        else:
            verdict = flow(candidate, then_promote=False, again=True)
    if as_json:
        typer.echo(json.dumps(asdict(verdict), ensure_ascii=False, indent=1, default=str))
    else:
        print_verdict(verdict)


def promote(candidate: CandidateId = None, as_json: Json = False) -> None:
    """Release a candidate whose verdict is "pass"."""
    from kiban.wiring import house

    found = house().weights.candidate(candidate)
    release = house().releases.promote(found, house().evidence.verdict(found), actor=getpass.getuser())
    show({"release": release.id, **asdict(release)}, as_json=as_json, title="Release in force")


def approve(as_json: Json = False) -> None:
    """Release what has passed and waits for a person's word."""
    from kiban.wiring import house

    found = house().releases.proposed()
    release = house().releases.promote(found, house().evidence.verdict(found), actor=getpass.getuser())
    show({"release": release.id, **asdict(release)}, as_json=as_json, title="Release approved")


def rollback(reason: Reason = "by hand", as_json: Json = False) -> None:
    """Flip back to the release before this one, or end the trial of a new one."""
    from kiban.wiring import house

    release = house().releases.rollback(actor=getpass.getuser(), reason=reason)
    show({"release": release.id, **asdict(release)}, as_json=as_json, title="Release in force")


def history(as_json: Json = False) -> None:
    """Show the ledger: who released what, when, why, on what evidence."""
    from kiban.wiring import house

    releases = house().releases
    entries = [(entry, releases.release(entry)) for entry in releases.history()]
    if as_json:
        told = [{**asdict(entry), "zones": [asdict(zone) for zone in of.zones]} for entry, of in entries]
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1, default=str))
        return
    table = Table("#", "at", "who", "what", "release", "adapters", "why", title="Ledger")
    for entry, of in entries:
        at = entry.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        zones = [f"{zone.name} ({zone.audience})" for zone in of.zones]
        adapters = "\n".join(filter(None, [of.adapter, *zones])) or "–"
        shares = {100: "", 0: " unseen, on past questions"}
        what = entry.action + shares.get(entry.share, f" for {entry.share} % of people")
        table.add_row(str(entry.seq), at, entry.actor, what, entry.release_id, adapters, entry.reason)
    Console().print(table)


def print_verdict(verdict: Verdict) -> None:
    """Print the four arms, the paired tests and the reasons."""
    console = Console()
    evaluation = verdict.evaluation
    measures = sorted({measure for means in evaluation.arms.values() for measure in means})
    four = Table(
        "",
        *evaluation.arms,
        title=f"Four arms, {evaluation.questions} questions, {evaluation.documents} documents",
    )
    for measure in measures:
        means = (evaluation.arms[arm].get(measure) for arm in evaluation.arms)
        four.add_row(measure, *("–" if mean is None else f"{mean:.2f}" for mean in means))
    tests = Table("test", "role", "old", "new", "difference [95 %]", "p", "outcome", title="Paired tests")
    for c in evaluation.comparisons:
        difference = f"{c.difference:+.2f} [{c.low:+.2f}, {c.high:+.2f}]"
        tests.add_row(
            c.measure, c.role, f"{c.old:.2f}", f"{c.new:.2f}", difference, f"{c.adjusted_p:.4f}", c.outcome
        )
    console.print(four, tests)
    console.print(f"Verdict: [bold]{verdict.outcome}[/bold]")
    for reason in verdict.reasons:
        console.print(f"  • {reason}")
