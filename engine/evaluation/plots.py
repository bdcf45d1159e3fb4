"""Plots: score over density, time to the first token over length, agreement over length, needles by depth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from engine.evaluation.haystack import DEPTHS
from engine.evaluation.record import Record
from engine.evaluation.summary import ALL, Row

DOTS = 110


def draw(rows: Sequence[Row], records: Sequence[Record], folder: Path) -> dict[str, Path]:
    """Write the PNGs that the figures allow; by title. None where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return {}
    overall = [row for row in rows if row.suite == ALL]
    makers: dict[str, Callable[[Any], bool]] = {
        "Score over density": lambda figure: _density(figure, overall),
        "Time to the first token": lambda figure: _lines(figure, overall, "ttft", "seconds", log=True),
        "Same next token as dense": lambda figure: _lines(figure, overall, "agreement", "share", log=False),
        "Score": lambda figure: _lines(figure, overall, "score", "share", log=False),
        "Needles by depth": lambda figure: _heat(figure, records),
    }
    out: dict[str, Path] = {}
    for title, make in makers.items():
        figure = Figure(figsize=(8, 4.5), dpi=DOTS, layout="constrained")
        if make(figure):
            out[title] = folder / f"{title.lower().replace(' ', '_')}.png"
            figure.savefig(out[title])
    return out


def _density(figure: Any, rows: Sequence[Row]) -> bool:
    """A panel per length: a point per variant, further left computed less, higher answered better."""
    scores = [row.score for row in rows if row.score is not None]
    lengths = sorted({row.length for row in rows if row.score is not None})
    if not scores:
        return False
    figure.set_size_inches(1.6 + 2.4 * len(lengths), 3.4)
    panels = figure.subplots(1, len(lengths), squeeze=False, sharex=True, sharey=True)[0]
    for length, axes in zip(lengths, panels, strict=True):
        axes.set(title=_short(length), xlim=(0, 1.08), ylim=(min(scores) - 0.05, 1.03))
        for name, group in _grouped(rows).items():
            found = [row for row in group if row.length == length and row.score is not None]
            axes.plot([row.density or 1.0 for row in found], [row.score for row in found], "o", label=name, alpha=0.8)
    panels[0].set_ylabel("answers right")
    figure.supxlabel("share of the causal pairs computed", fontsize=10)
    panels[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return True


def _lines(figure: Any, rows: Sequence[Row], what: str, unit: str, *, log: bool) -> bool:
    axes = figure.add_subplot(xlabel="tokens", ylabel=unit, xscale="log")
    by_variant = _grouped(rows)
    lengths = sorted({row.length for row in rows})
    for name, group in by_variant.items():
        points = sorted((row.length, getattr(row, what)) for row in group if getattr(row, what) is not None)
        axes.plot([x for x, _ in points], [y for _, y in points], "o-", label=name, alpha=0.8, ms=4)
    if log:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        ticks = [n * 10.0**power for power in range(-3, 4) for n in (1, 2, 5) if low <= n * 10.0**power <= high]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks(lengths, [_short(length) for length in lengths])
    axes.minorticks_off()
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return bool(by_variant)


def _heat(figure: Any, records: Sequence[Record]) -> bool:
    """A panel per variant: rows are depths, columns lengths, colour the share right."""
    cells: dict[str, dict[tuple[int, float], list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.suite.startswith("needle#"):
            for depth, score in zip(record.depths, record.scores, strict=True):
                if depth is not None:
                    cells[record.variant][record.length, depth].append(score)
    if not cells:
        return False
    lengths = sorted({length for found in cells.values() for length, _ in found})
    wide = min(4, len(cells))
    deep = -(-len(cells) // wide)
    figure.set_size_inches(2.2 + 2.4 * wide, 0.8 + 2.6 * deep)
    axes = figure.subplots(deep, wide, squeeze=False, sharex=True, sharey=True)
    for place, (name, found) in zip(axes.flat, cells.items(), strict=False):
        grid = [[fmean(found[n, d]) if found.get((n, d)) else float("nan") for n in lengths] for d in DEPTHS]
        image = place.imshow(grid, vmin=0, vmax=1, cmap="YlGnBu", aspect="auto")
        place.set_title(name, fontsize=8)
        place.set_xticks(range(len(lengths)), [_short(n) for n in lengths], fontsize=7)
        place.set_yticks(range(len(DEPTHS)), [f"{d:.0%}" for d in DEPTHS], fontsize=7)
    for place in list(axes.flat)[len(cells) :]:
        place.set_visible(False)
    figure.colorbar(image, ax=axes, label="answers right", shrink=0.8)
    return True


def _grouped(rows: Sequence[Row]) -> dict[str, list[Row]]:
    out: dict[str, list[Row]] = {}
    for row in rows:
        out.setdefault(row.variant, []).append(row)
    return out


def _short(length: int) -> str:
    return f"{length / 1024:g}K" if length % 1024 == 0 else f"{length:,}"
