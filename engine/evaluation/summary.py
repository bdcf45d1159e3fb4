"""Summary: records gathered into rows, one per suite, length and variant, each beside dense on the same prompts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from engine.evaluation.record import Record
from engine.evaluation.statistics import Interval, bootstrap, wilson

ALL = "all questions"
FAILED = 0.2
"""Where dense itself scores less, a policy's score says little, and agreement and perplexity are compared."""


@dataclass(frozen=True, slots=True)
class Row:
    """Shares from 0 to 1, times in seconds; null where nothing of the kind was measured.

    `interval` is Wilson's for the score, `less` what the score lacks of dense's and `less_interval` its bootstrap over
    prompts. `agreement` is the share of places with dense's likeliest token; `drift` the mean change of the
    log-likelihood there, in nats: zero for KV that came back as it was.
    """

    suite: str
    length: int
    variant: str
    factor: float
    prompts: int
    questions: int
    score: float | None
    interval: Interval | None
    less: float | None
    less_interval: Interval | None
    agreement: float | None
    places: int
    drift: float | None
    perplexity: float | None
    density: float | None
    kept: float | None
    ttft: float
    ttft_of_dense: float


def summarise(records: Iterable[Record]) -> list[Row]:
    """Rows per suite, length and variant, and per length and variant over every suite that asks."""
    groups: dict[tuple[str, int, str], list[Record]] = defaultdict(list)
    dense = {}
    for record in records:
        if record.variant == "dense":
            dense[record.suite, record.length, record.round] = record
    for record in records:
        if (record.suite, record.length, record.round) in dense:
            groups[record.suite.split("#")[0], record.length, record.variant].append(record)
            if record.scores:
                groups[ALL, record.length, record.variant].append(record)
    return [_row(suite, length, variant, found, dense) for (suite, length, variant), found in groups.items()]


def _row(
    suite: str, length: int, variant: str, found: Sequence[Record], dense: dict[tuple[str, int, int], Record]
) -> Row:
    pairs = [(record, dense[record.suite, record.length, record.round]) for record in found]
    scores = [score for record in found for score in record.scores]
    score = fmean(scores) if scores else None
    less = [[b - a for a, b in zip(x.scores, y.scores, strict=True)] for x, y in pairs]
    same = [a == b for x, y in pairs for a, b in zip(x.choices, y.choices, strict=True)]
    drift = [abs(a - b) for x, y in pairs for a, b in zip(x.surprise, y.surprise, strict=True)]
    read = [(r.nll, len(r.surprise)) for r in found if r.nll is not None]
    densities = [r.density for r in found if r.density is not None]
    kept = [r.kept for r in found if r.kept is not None]
    return Row(
        suite=suite,
        length=length,
        variant=variant,
        factor=found[0].factor,
        prompts=len(found),
        questions=len(scores),
        score=score,
        interval=None if score is None else wilson(score, len(scores)),
        less=fmean(value for group in less for value in group) if scores else None,
        less_interval=bootstrap(less) if scores else None,
        agreement=fmean(same) if same else None,
        places=len(same),
        drift=fmean(drift) if drift else None,
        perplexity=math.exp(sum(n for n, _ in read) / sum(c for _, c in read)) if read else None,
        density=fmean(densities) if densities else None,
        kept=fmean(kept) if kept else None,
        ttft=median(r.ttft for r in found),
        ttft_of_dense=median(x.ttft / y.ttft for x, y in pairs),
    )
