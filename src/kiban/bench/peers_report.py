"""What a run beside the peers found: a table in Markdown, JSON, and two pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from kiban.bench.peers import PeerRun, SideFigures


def markdown(runs: Sequence[PeerRun]) -> str:
    """Return one section a set, ready to be pasted."""
    return "\n\n".join(_section(one) for one in runs) + "\n"


def keep(runs: Sequence[PeerRun], out: Path, name: str) -> list[Path]:
    """Write NAME.json, NAME.md and the pictures into `out`; return what was written."""
    import matplotlib

    matplotlib.use("Agg")
    out.mkdir(parents=True, exist_ok=True)
    files = [out / f"{name}.json", out / f"{name}.md"]
    files[0].write_text(json.dumps([asdict(one) for one in runs], ensure_ascii=False, indent=1) + "\n")
    files[1].write_text(markdown(runs))
    if any(one.questions and _quality(one) for one in runs):
        files.append(_picture(runs, out / f"{name}-quality.png", "nDCG@10", _quality))
    files.append(_picture(runs, out / f"{name}-p50.png", "ms to the 10 best chunks (p50)", _median))
    return files


def _section(one: PeerRun) -> str:
    size = f"{one.documents:,} documents, {one.chunks:,} chunks, {one.questions:,} questions"
    machine = f"{one.cores} cores, load {one.load_at_start:.1f} at the start"
    embedding = f"{one.embed_seconds:.0f} s for all chunks, {one.embed_query_ms:.0f} ms a question"
    lines = [
        f"### {one.name}",
        "",
        f"{size}; {machine}. Embedding, the same for all and in no column: {embedding}.",
        "",
        *_rows(one),
        "",
        f"Ratios, kiban over the other (below 1: less), fused: {_ratios(one)}",
        "",
        f"Versions: {_versions(one)}",
    ]
    return "\n".join(lines)


def _rows(one: PeerRun) -> Iterator[str]:
    judged = any(side.quality for side in one.sides.values())
    quality = ("nDCG@10", "kiban fused − it [95 %]", "recall@10", "recall@50", "MRR@10") if judged else ()
    speed = (
        "p50 ms",
        "p95 ms",
        "store chunks/s",
        "unchanged again s",
        "client MB",
        "backends MB",
        "database MB",
    )
    yield f"| | {' | '.join((*quality, *speed))} |"
    yield "|---" * (1 + len(quality) + len(speed)) + "|"
    for name, side in one.sides.items():
        cells = [*(_judged(side) if judged else ()), *_times(side, one)]
        yield f"| {name} | {' | '.join(cells)} |"


def _judged(side: SideFigures) -> tuple[str, ...]:
    assert side.quality is not None
    better = "–"
    if side.better:
        mean, low, high = side.better
        better = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    q = side.quality
    return (
        f"{q.ndcg_at_10:.3f}",
        better,
        f"{q.recall_at_10:.3f}",
        f"{q.recall_at_50:.3f}",
        f"{q.mrr_at_10:.3f}",
    )


def _times(side: SideFigures, one: PeerRun) -> tuple[str, ...]:
    again = f"{side.again_seconds:.2f}"
    if side.embeds_again:
        again += f" + {one.embed_seconds:.0f} to embed" if one.embed_seconds else " + embedding"
    return (
        f"{side.p50_ms:.1f}",
        f"{side.p95_ms:.1f}",
        f"{side.store_chunks_per_second:,.0f}",
        again,
        f"{side.client_mb:.0f}",
        f"{side.backend_mb:.0f}",
        f"{side.table_mb:.0f}",
    )


def _ratios(one: PeerRun) -> str:
    told = []
    for side, ratios in one.ratios.items():
        told.append(f"{side}: " + ", ".join(f"{what} {ratio:.2f}" for what, ratio in ratios.items()))
    return "; ".join(told) + "."


def _versions(one: PeerRun) -> str:
    found = {name: number for side in one.sides.values() for name, number in side.versions.items()}
    return ", ".join(f"{name} {number}" for name, number in sorted(found.items())) + "."


def _quality(one: PeerRun) -> dict[str, float]:
    return {name: side.quality.ndcg_at_10 for name, side in one.sides.items() if side.quality}


def _median(one: PeerRun) -> dict[str, float]:
    return {name: side.p50_ms for name, side in one.sides.items()}


def _picture(runs: Sequence[PeerRun], path: Path, label: str, of: object) -> Path:
    from matplotlib import pyplot

    shown = [(one, values) for one in runs if (values := of(one))]  # type: ignore[operator]
    figure, axes = pyplot.subplots(1, len(shown), figsize=(4.2 * len(shown), 3.4), squeeze=False)
    for axis, (one, values) in zip(axes[0], shown, strict=True):
        names = list(values)[::-1]
        colours = ["#1f6f8b" if name.startswith("kiban") else "#b0b0b0" for name in names]
        bars = axis.barh(names, [values[name] for name in names], color=colours)
        axis.bar_label(bars, fmt="%.3g", fontsize=7, padding=2)
        axis.set_title(f"{one.name}\n{one.chunks:,} chunks", fontsize=9)
        axis.set_xlabel(label, fontsize=8)
        axis.tick_params(labelsize=8)
        axis.margins(x=0.18)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path
