"""What a quick run found: a table in Markdown, JSON, and two pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from kiban.bench.quick import QuickRun
from kiban.bench.retrieval import LANES, LaneFigures

COLOURS = {"dense": "#b0b0b0", "lexical": "#7d8ca3", "fused": "#1f6f8b"}


def markdown(run: QuickRun) -> str:
    """Return one row a figure, ready to be pasted."""
    machine = f"{run.machine}, {run.cores} cores, load {run.load_at_start:.1f} at the start"
    lines = [
        f"Measured in {run.seconds:.0f} s on {machine}.",
        "",
        "| figure | value | aim | met / why not |",
        "|---|---|---|---|",
    ]
    for row in run.rows:
        met = {True: "met", False: "not met", None: "not measured"}[row.met]
        lines.append(f"| {row.what} | {row.value} | {row.aim} | {met}{row.why and f': {row.why}'} |")
    return "\n".join(lines) + "\n"


def keep(run: QuickRun, out: Path) -> list[Path]:
    """Write quick.json, quick.md and the pictures into `out`; return what was written."""
    out.mkdir(parents=True, exist_ok=True)
    files = [out / "quick.json", out / "quick.md"]
    files[0].write_text(json.dumps(asdict(run), ensure_ascii=False, indent=1) + "\n")
    files[1].write_text(markdown(run))
    if run.sets:
        files.append(_picture(run, out / "quality.png", "nDCG@10", lambda lane: lane.ndcg_at_10))
        files.append(_picture(run, out / "p50.png", "ms a question (p50)", lambda lane: lane.p50_ms))
    return files


def _picture(run: QuickRun, path: Path, label: str, of: Callable[[LaneFigures], float]) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.5, 3.6))
    width = 0.8 / len(LANES)
    for at, lane in enumerate(LANES):
        places = [number + at * width for number in range(len(run.sets))]
        bars = axes.bar(
            places, [of(one.lanes[lane]) for one in run.sets], width, color=COLOURS[lane], label=lane
        )
        axes.bar_label(bars, fmt="%.3g", fontsize=7, padding=2)
    names = [one.folder.replace("/", "\n") for one in run.sets]
    axes.set_xticks([number + width for number in range(len(names))], names, fontsize=7)
    axes.set_ylabel(label, fontsize=8)
    axes.legend(fontsize=7, frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.14))
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path
