"""What several adaptations found: tables in Markdown, JSON, and a picture."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kiban.bench.adapt_figures import AdaptFigures, Mean
from kiban.domain.evidence import Comparison

GAIN, LOSS = 0.10, 0.01  # aims, as shares of nDCG@10: at least so much at home, at most so much elsewhere


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was taught, at home and elsewhere."""

    set: str
    outside_set: str
    what: str
    home: Comparison
    outside: Comparison | None


@dataclass(frozen=True, slots=True)
class SetFigures:
    """One set, and the one on which nothing may be lost."""

    set: str
    outside_set: str
    figures: AdaptFigures


def rows(measured: Sequence[SetFigures]) -> Iterator[Row]:
    """Yield what was taught, set by set: what people are shown, then the embedder's lane alone."""
    for one in measured:
        of = one.figures
        for gain in of.gains:
            name = f"embedder, {gain.recipe}"
            yield Row(one.set, one.outside_set, f"{name}: fused", gain.home, gain.outside)
            yield Row(one.set, one.outside_set, f"{name}: dense alone", gain.home_dense, gain.outside_dense)
        if of.reranker:
            yield Row(one.set, one.outside_set, "reranker", of.reranker, of.reranker_outside)


def markdown(measured: Sequence[SetFigures]) -> str:
    """Return both tables, ready to be pasted."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end"
    aims = f"Aims: at home at least +{GAIN:.0%}, elsewhere at most −{LOSS:.0%}, of what was there before."
    lines = [
        f"nDCG@10, paired, 95 % intervals clustered by document. {machine}. {aims}",
        "",
        "| set, half of it learnt | what | at home | difference | of it | elsewhere | aims |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows(measured):
        home, lost = row.home, row.outside
        elsewhere = f"{row.outside_set}: {_difference(lost)} = {_share(lost)}" if lost else "–"
        cells = (
            f"{row.set} ({home.questions})", row.what, f"{home.old:.3f} → {home.new:.3f}",
            _difference(home), _share(home), elsewhere, _met(row),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, *_arms(measured)]) + "\n"


def keep(measured: Sequence[SetFigures], out: Path) -> list[Path]:
    """Write adapt.json, adapt.md and adapt.png into `out`; return what was written."""
    out.mkdir(parents=True, exist_ok=True)
    files = [out / "adapt.json", out / "adapt.md"]
    told = [asdict(one) for one in measured]
    files[0].write_text(json.dumps(told, ensure_ascii=False, indent=1, default=str) + "\n")
    files[1].write_text(markdown(measured))
    found = list(rows(measured))
    return [*files, _picture(found, out / "adapt.png")] if found else files


def _arms(measured: Sequence[SetFigures]) -> Iterator[str]:
    asked = [one for one in measured if one.figures.arms]
    names = sorted({name for one in asked for means in one.figures.arms.values() for name in means})
    if asked:
        yield from ("", f"| set | arm | {' | '.join(names)} |", "|---" * (2 + len(names)) + "|")
    for one in asked:
        for arm, means in one.figures.arms.items():
            yield f"| {one.set} | {arm} | {' | '.join(_mean(means.get(name)) for name in names)} |"
        yield f"| {one.set} | verdict | {one.figures.outcome}" + " |" * len(names)


def _mean(mean: Mean | None) -> str:
    return f"{mean.mean:.2f} [{mean.low:.2f}, {mean.high:.2f}]" if mean else "–"


def _difference(of: Comparison) -> str:
    return f"{of.difference:+.3f} [{of.low:+.3f}, {of.high:+.3f}]"


def _share(of: Comparison) -> str:
    return f"{of.difference / of.old:+.1%}" if of.old else "–"


def _met(row: Row) -> str:
    won = row.home.difference >= GAIN * row.home.old
    kept = row.outside is None or row.outside.difference >= -LOSS * row.outside.old
    return f"{'met' if won else 'not met'} / {'met' if kept else 'not met'}"


def _picture(found: Sequence[Row], path: Path) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.5, 1.2 + 0.45 * len(found)))
    sides = (("at home", "#1f6f8b", -0.17), ("elsewhere", "#b0763c", 0.17))
    for label, colour, shift in sides:
        shown = [(at, row.home if label == "at home" else row.outside) for at, row in enumerate(found)]
        of = [(at + shift, one) for at, one in shown if one]
        axes.errorbar(
            [one.difference for _, one in of],
            [at for at, _ in of],
            xerr=[
                [max(0.0, one.difference - one.low) for _, one in of],
                [max(0.0, one.high - one.difference) for _, one in of],
            ],
            fmt="o", color=colour, label=label, capsize=3, markersize=4,
        )  # fmt: skip
    axes.axvline(0, color="#888888", linewidth=0.8)
    axes.set_yticks(range(len(found)), [f"{row.set}\n{row.what}" for row in found], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("difference of nDCG@10, 95 % interval", fontsize=8)
    axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.4, 1.14), ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path
