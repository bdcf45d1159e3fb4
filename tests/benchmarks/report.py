"""A benchmark's results: a short table for people, JSON with where and how they were measured."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from engine.hardware import device_name


def milliseconds(run: Callable[[], object], *, budget: float = 300.0) -> float:
    """Median time of `run` on the GPU over about `budget` milliseconds (at least 3 runs), after a warm-up."""
    return race({"": run}, budget=budget)[""]


def race(runs: dict[str, Callable[[], object]], *, budget: float = 300.0) -> dict[str, float]:
    """Median times in milliseconds of several runs.

    They are taken in turns, so that a hot card is as hot for each of them, and each with the L2 cache emptied first,
    as triton.testing.do_bench does.
    """
    for run in runs.values():
        run()
    torch.cuda.synchronize()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    cache = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    times: dict[str, list[float]] = {name: [] for name in runs}
    spent, rounds = 0.0, 0
    while rounds < 3 or (spent < budget * len(runs) and rounds < 100):
        for name, run in runs.items():
            cache.zero_()
            start.record()
            run()
            end.record()
            end.synchronize()
            times[name].append(start.elapsed_time(end))
            spent += times[name][-1]
        rounds += 1
    return {name: sorted(taken)[len(taken) // 2] for name, taken in times.items()}


def graphed(run: Callable[[], object]) -> Callable[[], object]:
    """`run` captured in a CUDA graph, so that what is timed is the device's work and not Python's."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def environment() -> dict[str, Any]:
    """Device, versions, commit, command and time."""
    device: dict[str, Any] = {"device": device_name(torch.device("cpu")), "load": os.getloadavg()[0]}
    if torch.cuda.is_available():
        import triton

        properties = torch.cuda.get_device_properties(0)
        device = {
            "device": properties.name,
            "processors": properties.multi_processor_count,
            "triton": triton.__version__,
        }
    return device | {
        "torch": torch.__version__,
        "python": sys.version.split()[0],
        "commit": os.environ.get("OMNIBUS_COMMIT") or _commit(),
        "command": " ".join(["python", "-m", *_module(), *_arguments()]),
        "date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }


def show(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Prints the rows as a table of aligned columns."""
    cells = [[_text(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(c), *(len(line[i]) for line in cells)) for i, c in enumerate(columns)]
    for line in [list(columns), *cells]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes environment and rows as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"environment": environment(), "rows": list(rows)}, indent=1) + "\n")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return (
        f"{value:.3g}"
        if isinstance(value, float) and abs(value) < 10
        else f"{value:.1f}"
        if isinstance(value, float)
        else str(value)
    )


def _module() -> list[str]:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return [spec.name] if spec else [Path(sys.argv[0]).stem]


def _arguments() -> list[str]:
    """The command's arguments, without where this machine put the results."""
    return ["FILE" if before == "--out" else word for before, word in itertools.pairwise(["", *sys.argv[1:]])]


def _commit() -> str:
    run = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return run.stdout.strip() or "unknown"
