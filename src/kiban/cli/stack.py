"""`kiban up down status doctor`: the stack."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from kiban.cli.output import Json, progress
from kiban.errors import NoSuchRelease
from kiban.settings import Settings, load
from kiban.stack import doctor as doctors
from kiban.stack import state, supervisor
from kiban.stack.parts import left_over, parts
from kiban.stack.supervisor import Part, PartStatus, State, Watch

RemoveState = Annotated[bool, typer.Option("--remove-state", help="Then remove everything Kiban kept.")]


def up(as_json: Json = False) -> None:
    """Start what does not run yet, and wait until every part is healthy."""
    settings = load()
    began = time.monotonic()
    start(settings, quiet=as_json)
    found = supervisor.survey(parts(settings))
    if as_json:
        print_json({"parts": [asdict(status) for status in found], "seconds": time.monotonic() - began})
    else:
        print_table(found)


def start(settings: Settings, *, quiet: bool) -> None:
    """Bring everything up: weights before vLLM, the schema and the first release before chat.

    Costs next to nothing when everything runs. Raises PartRefused, PartUnavailable, SettingsError.
    """
    state.claim(settings.state)
    everything, gone = parts(settings), left_over(settings)
    if not gone and all(part.stands for part in everything):
        with watching(quiet=quiet) as watch:
            supervisor.up(everything, watch)
        return
    from kiban.wiring import house  # seconds to import, which the second `kiban up` need not spend

    with progress(quiet=quiet):
        _ = house().furniture.bases, house().furniture.base_embedder  # fetched, if they are missing
    with watching(quiet=quiet) as watch:
        supervisor.up(everything, watch, {"postgres": house().releases.found})
        supervisor.down(gone, watch)  # last: it may be what answers, and then nothing moves
    house().releases.converge()  # a server that was restarted has forgotten its adapters


def down(remove_state: RemoveState = False, as_json: Json = False) -> None:
    """Stop every part that runs here."""
    settings = load()
    stopped: list[str] = []
    with watching(quiet=as_json) as watch:

        def note(part: Part, state: State) -> None:
            watch(part, state)
            stopped.extend([part.name] if state == "stopped" else [])

        supervisor.down([*parts(settings), *left_over(settings)], note)
    removed = remove_state and state.remove(settings)
    if as_json:
        print_json({"stopped": stopped, "removed": str(settings.state) if removed else None})
    else:
        Console().print(f"Stopped: {', '.join(stopped) or 'nothing ran'}.")
        if remove_state:
            Console().print(f"Removed {settings.state}." if removed else "There was no state to remove.")


def status(as_json: Json = False) -> None:
    """Say of every part where it is, how it is, and where its log is. Exit code 1 if one is not well."""
    settings = load()
    found = supervisor.survey(parts(settings))
    told: dict[str, Any] = {}
    if all(status.ok for status in found if status.name == "postgres"):
        told = {"documents": _documents(), "zones": _zones()}
    if as_json:
        print_json({"parts": [asdict(status) for status in found], **told})
    else:
        print_table(found)
        print_documents(told.get("documents", {}))
        print_zones(told.get("zones", []))
    if not all(status.ok for status in found):
        raise typer.Exit(1)


def _documents() -> dict[str, Any]:
    """Return how many documents are in each state, of each source, and why some failed."""
    from kiban.wiring import house

    sources = house().documents.status()
    states: Counter[str] = sum((Counter(one.states) for one in sources), Counter())
    failed = {document.uri: document.reason for document in house().documents.failed()}
    return {**states, "why": failed, "sources": [asdict(one) for one in sources]}


def _zones() -> list[dict[str, Any]]:
    """Return how each zone stands; none before the house was founded."""
    from kiban.wiring import house

    try:
        return [
            {**asdict(zone), "audience": str(zone.audience), "label": zone.audience.label}
            for zone in house().weights.zones()
        ]
    except NoSuchRelease:
        return []


def print_zones(told: Sequence[Mapping[str, Any]]) -> None:
    console = Console()
    for zone in told:
        small = "" if zone["large"] else ", too small for its own"
        console.print(
            f"Zone of {zone['audience']}: {zone['documents']} documents, "
            f"adapter {zone['adapter'] or f'of everyone{small}'}.",
            markup=False,
            highlight=False,
        )


def print_documents(told: Mapping[str, Any]) -> None:
    states = ", ".join(f"{count} {state}" for state, count in told.items() if isinstance(count, int))
    console = Console()
    console.print(f"Documents: {states or 'none'}.")
    for source in told.get("sources", ()):
        oldest = source["oldest"]
        counted = ", ".join(
            f"{count} {state} (oldest {oldest[state]:%F %T})" for state, count in source["states"].items()
        )
        console.print(f"  {source['source']}: {counted}", markup=False, highlight=False)
        if source["refused"]:
            console.print(f"  [red]{source['refused']}[/]: kiban ingest NAME --allow-deleting")
    for uri, reason in told.get("why", {}).items():
        console.print(f"  {uri}: {reason}", markup=False, highlight=False)


def doctor(as_json: Json = False) -> None:
    """Look for everything that could go wrong here. Exit code 1 if something needed is missing."""
    settings = load()
    findings = list(doctors.examine(settings, parts(settings)))
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        report = Table("", "what", "found", "mend", title="Doctor")
        for finding in findings:
            mark = "[green]✓[/]" if finding.ok else "[red]✗[/]" if finding.needed else "[yellow]![/]"
            report.add_row(mark, finding.name, finding.detail, "" if finding.ok else finding.mend)
        Console().print(report)
    if any(finding.needed and not finding.ok for finding in findings):
        raise typer.Exit(1)


@contextmanager
def watching(*, quiet: bool) -> Iterator[Watch]:
    """Show a line with running seconds for every part that starts or stops."""
    lines = Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description:<10} {task.fields[state]:<9}"),
        TimeElapsedColumn(),
        disable=quiet,
    )
    known: dict[str, TaskID] = {}

    def watch(part: Part, state: State) -> None:
        if part.name not in known:
            known[part.name] = lines.add_task(part.name, total=1, state=state)
        over = state in ("ready", "stopped")
        lines.update(known[part.name], completed=int(over), state=state)

    with lines:
        yield watch


def print_table(found: list[PartStatus]) -> None:
    shown = Table("", "part", title="Stack")
    shown.add_column("where", no_wrap=True)
    shown.add_column("version")
    shown.add_column("memory", justify="right", no_wrap=True)
    for status in found:
        mark = "[green]✓[/]" if status.ok else "[red]✗[/]"
        memory = f"{status.memory / (1 << 20):,.0f} MB" if status.memory else ""
        told = status.version if status.ok else f"[red]{status.detail}[/]"
        shown.add_row(mark, status.name, status.url, told, memory)
    console = Console()
    console.print(shown)
    for status in found:
        if status.log:
            console.print(f"[dim]{status.name:<9}{status.log}[/]", soft_wrap=True, highlight=False)


def print_json(value: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1, default=str))
