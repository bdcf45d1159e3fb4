"""Crossover: from which length sparse prefill is faster than dense, measured for a model's shape on its device.

`auto` costs some milliseconds a chunk before it saves anything, dense attention grows with the heads, their dimension
and the square of the length: where the two meet is a matter of shape and device. Both are timed on structured heads,
chunk for chunk as prefill runs them, at doubling lengths until `auto` is faster. What it takes is corrected to the
share of the attention that heads of a real model need, for the structured ones need less.

A measurement is made once and kept: its outcome stands in the policy's parameters and so in the session store's
namespace, and the same tokens give the same KV for as long as it stands. One that cannot be kept is not used.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.file_lock import locked
from engine.hardware import device_name, pick_chunk
from engine.models.model import LanguageModel
from engine.policies.auto import Auto, causal_pairs
from engine.policies.base import Policy
from engine.policies.by_name import Border
from engine.policies.dense import Dense
from engine.policies.structured import structured_heads
from engine.prefill.attention import Attending

log = logging.getLogger(__name__)

METHOD = 2
"""Raise it when the measurement or the speed of what it measures changes, so that it is made anew."""
SHORTEST = {"cpu": 8192, "cuda": 8192}
"""Windows up to which nothing is measured: `auto` was not faster there on either kind, and reads every key."""
LENGTHS = {"cpu": (16384, 32768), "cuda": (8192, 16384, 32768, 65536, 131072, 262144)}
"""Where it is timed. On a CPU not below 16K: the reader's whole prefill of 8K took 1.05 of dense's time, though single
layers on structured heads took less (data/results/evaluation/cpu, crossover_cpu.json)."""
BUDGET_S = {"cpu": 12.0, "cuda": 4.0}
"""Seconds of timed calls after which no longer length is begun; what is compiled at the first call does not count."""
ROUNDS = 3
GAIN = 0.95
"""Share of dense's time that `auto` must be expected to take, so that it is not slower where heads need more."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the time of an attention call depends on."""

    heads: int
    kv_heads: int
    head_dim: int
    dtype: torch.dtype
    device: torch.device
    chunk_tokens: int

    @classmethod
    def of(cls, model: LanguageModel, chunk_tokens: int | None = None) -> Shape:
        """A model's, in chunks of so many tokens or the device's usual."""
        f, device = model.fingerprint, model.device
        return cls(f.heads, f.kv_heads, f.head_dim, model.dtype, device, chunk_tokens or pick_chunk(device))

    def key(self, recall: float, window: int) -> str:
        """What a measurement is kept under: device, versions, shape, the share to keep, the longest prompt."""
        facts = asdict(self) | {"dtype": str(self.dtype), "device": device_name(self.device)}
        versions = {"torch": torch.__version__, "method": METHOD}
        if self.device.type == "cuda":
            import triton

            versions["triton"] = triton.__version__
        return json.dumps(facts | versions | {"recall": recall, "window": window}, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Sample:
    """One length: milliseconds of the last chunk's attention, dense and under `auto`, corrected to real heads."""

    keys: int
    dense_ms: float
    auto_ms: float
    density: float

    @property
    def ratio(self) -> float:
        """`auto` beside dense."""
        return self.auto_ms / self.dense_ms


def border(home: Path, model: LanguageModel, chunk_tokens: int | None = None) -> Callable[[float], Border]:
    """From where this model leaves keys out, for a recall: as measured now, or before and kept in `home`."""
    return border_of_shape(home, Shape.of(model, chunk_tokens), model.window)


def border_of_shape(home: Path, shape: Shape, window: int) -> Callable[[float], Border]:
    """`border` of a shape and a window."""

    def of(recall: float) -> Border:
        kind = shape.device.type
        if window <= SHORTEST.get(kind, 0):
            return Border.assumed(kind)
        try:
            return _kept_or_measured(home, shape, window, recall)
        except OSError as error:
            log.warning("Where sparse prefill begins to pay cannot be kept (%s): the usual border is taken", error)
        except torch.OutOfMemoryError:
            log.warning("There was no memory to measure where sparse prefill begins to pay: the usual border is taken")
        return Border.assumed(kind)

    return of


def known(home: Path) -> list[dict[str, Any]]:
    """What was measured: shape, border and samples; nothing where nothing was or the file is damaged."""
    return [{**json.loads(key), **found} for key, found in _read(home).items()]


def _kept_or_measured(home: Path, shape: Shape, window: int, recall: float) -> Border:
    key = shape.key(recall, window)
    if key not in (kept := _read(home)):
        place = _place(home)
        place.parent.mkdir(parents=True, exist_ok=True)
        with locked(place.with_suffix(".lock")):  # a second process waits, and takes what this one found
            if key not in (kept := _read(home)):
                started = time.perf_counter()
                samples = measure(shape, recall, window)
                found = meeting(samples, shape.chunk_tokens, window)
                rows = [asdict(sample) for sample in samples]
                seconds = time.perf_counter() - started
                kept[key] = {"keys": found.keys, "pairs": found.pairs, "samples": rows, "seconds": round(seconds, 2)}
                part = place.with_suffix(f".{os.getpid()}.part")
                part.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
                os.replace(part, place)
    return Border(kept[key]["keys"], kept[key]["pairs"])


@torch.inference_mode()
def measure(shape: Shape, recall: float, window: int) -> list[Sample]:
    """Times at doubling lengths, up to the first where `auto` is faster; raises torch.OutOfMemoryError."""
    kind, samples, spent = shape.device.type, list[Sample](), 0.0
    dense, auto = Dense(), Auto(recall, minimum=0)
    for keys in LENGTHS.get(kind, LENGTHS["cuda"]):
        if samples and (keys > window or samples[-1].ratio <= GAIN or spent > BUDGET_S.get(kind, BUDGET_S["cuda"])):
            break
        q, k, v = structured_heads(
            keys, heads=shape.heads, kv_heads=shape.kv_heads, dim=shape.head_dim, device=shape.device,
            dtype=shape.dtype,
        )  # fmt: skip
        q = q[:, :, -min(shape.chunk_tokens, keys) :]
        _run(dense, q, k, v)
        _run(auto, q, k, v)
        taken: dict[str, list[float]] = {"dense": [], "auto": []}
        density = 1.0
        for _ in range(ROUNDS):
            taken["dense"].append(_run(dense, q, k, v)[0])
            milliseconds, density = _run(auto, q, k, v)
            taken["auto"].append(milliseconds)
        spent += (sum(taken["dense"]) + sum(taken["auto"])) / 1e3
        dense_ms = min(taken["dense"])
        missing = max(0.0, needed(recall) - density)
        samples.append(Sample(keys, dense_ms, min(taken["auto"]) + missing * dense_ms, density))
    return samples


def needed(recall: float) -> float:
    """Share of the attention that real heads need for this recall, what is computed again included.

    The reader's heads needed 0.42 for 0.95 at 8K (data/results/evaluation/cpu); how it grows with the recall is fitted
    to the base, whose heads needed 0.16, 0.24, 0.37, 0.49 and 0.69 for 0.9, 0.95, 0.98, 0.99 and 0.997
    (data/results/fidelity.json, fidelity_32k.json).
    """
    return float(min(1.0, 0.42 * (0.05 / (1 - recall)) ** 0.4))


def meeting(samples: list[Sample], chunk_tokens: int, window: int) -> Border:
    """Where `auto` becomes faster, on the line between the last two lengths; behind the window where it never does."""
    last = samples[-1]
    keys: float = last.keys
    if last.ratio > GAIN:
        keys = max(window, last.keys) + 1
    elif len(samples) > 1:
        before = samples[-2]
        keys -= (last.keys - before.keys) * (GAIN - last.ratio) / (before.ratio - last.ratio)
    step = 1024
    whole = -int(-keys // step) * step
    return Border(whole, causal_pairs(min(chunk_tokens, whole), whole))


def _run(policy: Policy, q: Tensor, k: Tensor, v: Tensor) -> tuple[float, float]:
    """Milliseconds of one chunk's attention as prefill runs it, audit included, and the share that was computed."""
    state = Attending(policy)
    _wait(q.device)
    started = time.perf_counter()
    state.attend(0, q, k, v, None)
    _wait(q.device)
    milliseconds = (time.perf_counter() - started) * 1e3
    return milliseconds, state.density or 1.0


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _place(home: Path) -> Path:
    return home / "models" / "crossover.json"


def _read(home: Path) -> dict[str, dict[str, Any]]:
    try:
        found: dict[str, dict[str, Any]] = json.loads(_place(home).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
