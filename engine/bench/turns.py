"""Turns: several ways of doing the same, timed one after the other in rounds, so that each meets the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch

Run = Callable[[], float]
"""Does the work once; the seconds it took."""


def timed(work: Callable[[], object], device: torch.device | None = None) -> float:
    """Seconds that a call takes, what it leaves running on a GPU included."""
    settle(device)
    start = time.perf_counter()
    work()
    settle(device)
    return time.perf_counter() - start


def settle(device: torch.device | None) -> None:
    """Wait for a GPU."""
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)


def in_turns(
    runs: Mapping[str, Run],
    rounds: int,
    on_run: Callable[[str], None] = lambda name: None,
    *,
    seconds: float | None = None,
) -> dict[str, list[float]]:
    """Seconds of each run in each round; a round before them warms up and does not count.

    No round begins when `seconds` are over; where the first took them all, it is what counts.
    """
    found: dict[str, list[float]] = {name: [] for name in runs}
    began = time.perf_counter()
    for turn in range(rounds + 1):
        if turn and seconds is not None and time.perf_counter() - began > seconds:
            break
        if turn == 1:
            found = {name: [] for name in runs}
        for name, run in runs.items():
            found[name].append(run())
            on_run(name)
    return found


def times(others: Sequence[float], ours: Sequence[float]) -> float:
    """How many times as long the others took: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(others, ours, strict=True))
