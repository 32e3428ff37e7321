"""What `kiban bench chat` found: a table in Markdown, JSON, and a picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from kiban.bench.chatting import DIRECT, LITELLM, STUBBED, Cell, ChatFigures

COLOURS = {DIRECT: "#b0b0b0", STUBBED: "#7fb8c9", "kiban": "#1f6f8b", LITELLM: "#d08a3c"}


def markdown(of: ChatFigures) -> str:
    """Return the table and the ratios, ready to be pasted."""
    return "\n".join([*_table(of), "", *_ratios(of)]) + "\n"


def keep(of: ChatFigures, out: Path) -> list[Path]:
    """Write chat-load.json, .md and .png into `out`; return what was written."""
    out.mkdir(parents=True, exist_ok=True)
    files = [out / f"chat-load.{kind}" for kind in ("json", "md", "png")]
    files[0].write_text(json.dumps(asdict(of), ensure_ascii=False, indent=1) + "\n")
    files[1].write_text(markdown(of))
    _picture(of, files[2])
    return files


def _table(of: ChatFigures) -> Iterator[str]:
    yield "| | at once | first text p50 ms | p99 ms | whole p50 ms | pieces/s | failed | MB |"
    yield "|---|---|---|---|---|---|---|---|"
    for cell in of.cells:
        memory = f"{of.megabytes[cell.side]:.0f}" if cell.at_once == 1 else ""
        failed = f"{cell.failed} of {cell.streams + cell.failed}"
        yield (
            f"| {cell.side if cell.at_once == 1 else ''} | {cell.at_once} | {cell.first_p50 * 1e3:.1f} "
            f"| {cell.first_p99 * 1e3:.0f} | {cell.whole_p50 * 1e3:.1f} | {cell.pieces_a_second:,.0f} "
            f"| {failed} | {memory} |"
        )


def _ratios(of: ChatFigures) -> Iterator[str]:
    for tax in of.taxes:
        yield (
            f"First text over direct, {tax.side}: {tax.median * 1e3:.1f} ms "
            f"({tax.low * 1e3:.1f} to {tax.high * 1e3:.1f})."
        )
    taxes = {tax.side: tax.median for tax in of.taxes}
    if LITELLM in taxes:
        yield f"C1, ours without search over LiteLLM's: {taxes[STUBBED] / taxes[LITELLM]:.2f} (aim ≤ 0.25)."
        yield f"C2, seconds a piece over LiteLLM's: {of.piece_ratio:.2f} (aim ≤ 0.1)."
        weight = of.megabytes[STUBBED] / of.megabytes[LITELLM]
        yield f"Resident memory over LiteLLM's: {weight:.2f} (aim ≤ 0.35)."
    versions = ", ".join(f"{name} {number}" for name, number in of.versions.items())
    yield f"{of.rounds} rounds, {of.cores} cores, load {of.load_at_start:.1f} at the start; {versions}."


def _picture(of: ChatFigures, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(8.4, 3.4))
    sides = list(dict.fromkeys(cell.side for cell in of.cells))
    shown: tuple[tuple[str, Callable[[Cell], float]], ...] = (
        ("first text, p50, ms", lambda cell: cell.first_p50 * 1e3),
        ("pieces of text a second", lambda cell: cell.pieces_a_second),
    )
    for axis, (label, value) in zip(axes, shown, strict=True):
        for side in sides:
            cells: list[Cell] = [cell for cell in of.cells if cell.side == side]
            ats = [str(cell.at_once) for cell in cells]
            axis.plot(ats, [value(cell) for cell in cells], marker="o", label=side, color=COLOURS[side])
        axis.set_yscale("log")
        axis.set_xlabel("streams at once", fontsize=8)
        axis.set_title(label, fontsize=9)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(fontsize=7, frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
