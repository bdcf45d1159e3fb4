"""What this device can do, and which tile sizes suit it: by capability, never by name; tuned choices kept on disk."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch


@dataclass(frozen=True, slots=True)
class Config:
    """Launch parameters of the attention kernels.

    `descriptors`: K and V come through tensor descriptors. `hopper`: the warp-specialised kernel for sm_90 (128
    queries, 8 multiplying warps and a loading one).
    """

    block_m: int
    block_n: int
    num_warps: int
    num_stages: int
    descriptors: bool = False
    hopper: bool = False


def capability(device: torch.device) -> tuple[int, int]:
    """Compute capability; (0, 0) where there is none (a CPU under Triton's interpreter, AMD)."""
    if device.type != "cuda" or torch.version.hip is not None:
        return (0, 0)
    return _capability(device.index if device.index is not None else torch.cuda.current_device())


@functools.cache
def _capability(index: int) -> tuple[int, int]:
    return torch.cuda.get_device_capability(index)


def processors(device: torch.device) -> int:
    """Streaming multiprocessors (compute units); 4 stand for a CPU under Triton's interpreter."""
    if device.type != "cuda":
        return 4
    return _processors(device.index if device.index is not None else torch.cuda.current_device())


@functools.cache
def _processors(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count


def candidates(capability: tuple[int, int], itemsize: int, head_dim: int) -> list[Config]:
    """Configurations worth trying for this device, element size and head dimension; the first is the default.

    Each compiles without register spills in its main loop (tests/kernels/test_compilation.py), float32 at head
    dimensions above 128 excepted.
    """
    major = capability[0]
    wide = head_dim > 128
    if itemsize >= 4:  # float32 is for checking, not for speed: tiles that fit every device
        return [Config(16, 32, 8, 1) if wide else Config(32, 32, 8, 1)]
    if major == 9:
        portable = [Config(128, 32, 8, 2, True)] if wide else [Config(128, 64, 8, 3, True)]
        if itemsize == 1:
            portable = [Config(128, 64, 8, 2, True)] if wide else [Config(128, 128, 8, 2, True)]
        return [Config(128, 64 if wide else 128, 4, 2, True, True), *portable]
    if major >= 10:
        if wide:
            return [Config(128, 64, 8, 2, True)]
        return [Config(128, 64, 8, 3, True), Config(128, 64, 8, 2, True)]
    if wide:
        return [Config(64, 64, 8, 1)]
    if head_dim == 128 and major == 8:
        return [Config(128, 64, 8, 2), Config(64, 64, 4, 2)]
    return [Config(64, 64, 4, 2)]


def tuned(key: str, choices: Sequence[Config], measure: Callable[[Config], float] | None) -> Config:
    """The fastest of `choices` for this key: remembered on disk, else measured (milliseconds) and then remembered.

    Without `measure` and without a remembered choice the first one is taken, and nothing is written.
    """
    names = [json.dumps(asdict(choice), sort_keys=True) for choice in choices]
    known = _remembered().get(key)
    if known in names:
        return choices[names.index(known)]
    if measure is None or len(choices) == 1:
        return choices[0]
    times = [measure(choice) for choice in choices]
    best = times.index(min(times))
    _remember(key, names[best])
    return choices[best]


def cache_path() -> Path:
    """Where tuned choices are kept: OMNIBUS_KERNEL_CACHE, else the user's cache folder."""
    explicit = os.environ.get("OMNIBUS_KERNEL_CACHE")
    if explicit:
        return Path(explicit)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "omnibus" / "kernels.json"


@functools.cache
def _remembered() -> dict[str, str]:
    try:
        found = json.loads(cache_path().read_text())
    except (OSError, ValueError):
        return {}  # absent or damaged: tune again
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}


def _remember(key: str, choice: str) -> None:
    """Adds one choice; a folder that cannot be written only costs the next process its tuning."""
    known = _remembered()
    known[key] = choice
    path = cache_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            json.dump(known, file, indent=1, sort_keys=True)
        os.replace(file.name, path)
    except OSError:
        return
