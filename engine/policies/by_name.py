"""A policy from what a person writes: `dense`, `xattention:stride=8,threshold=0.8`, `minference:patterns.json`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UnknownPolicy
from engine.policies.auto import Auto
from engine.policies.base import Policy
from engine.policies.blocks import Blocks
from engine.policies.dense import Dense
from engine.policies.flexprefill import FlexPrefill
from engine.policies.minference import MInference
from engine.policies.pattern_file import HeadPattern, parse_patterns, read_patterns
from engine.policies.streaming import Streaming
from engine.policies.trianglemix import TriangleMix
from engine.policies.xattention import XAttention

POLICIES: dict[str, Callable[..., Policy]] = {
    policy.name: policy for policy in (Auto, Blocks, Dense, Streaming, FlexPrefill, XAttention, TriangleMix)
}


ASSUMED = {"cpu": 16384, "cuda": 24576}
"""Keys from which `auto` leaves any out where that was not measured. On an H100 a layer of an 8B model takes 5.2 ms at
32K where dense takes 12.5, most of it whatever the length; on 2 busy CPU cores it was level with dense between 4K and
8K, so twice that is used."""


@dataclass(frozen=True, slots=True)
class Border:
    """From how many keys, and in chunks of how many (query, key) pairs, `auto` leaves keys out."""

    keys: int
    pairs: int = 0

    @classmethod
    def assumed(cls, device: str) -> Border:
        """Where nothing was measured."""
        return cls(ASSUMED.get(device, ASSUMED["cuda"]))


def policy_by_name(
    spec: str, config: Any = None, device: str = "cuda", border: Callable[[float], Border] | None = None
) -> Policy:
    """The policy that `spec`, name[:key=value,...], stands for; raises UnknownPolicy or PatternFileError.

    `minference` takes a pattern file, or `a,b` (columns and diagonals of every head); without either it reads the
    patterns in the model's `config`, else it follows its published default. `config` is transformers'. Where `spec`
    does not say from where `auto` leaves keys out, `border` does for a recall, else what is assumed
    for the kind of `device`.
    """
    name, _, rest = spec.partition(":")
    if name == MInference.name:
        return _minference(spec, rest, config)
    if name not in POLICIES:
        raise UnknownPolicy(spec, f"known are {', '.join(sorted([*POLICIES, MInference.name]))}.")
    make = POLICIES[name]
    defaults = {p.name: p.default for p in inspect.signature(make).parameters.values()}
    known = {key: value for key, value in defaults.items() if isinstance(value, (int, float, str))}
    chosen: dict[str, float | int | str] = {}
    for part in filter(None, rest.split(",")):
        key, _, text = part.partition("=")
        if key not in known:
            raise UnknownPolicy(spec, f"it takes {', '.join(known) or 'no parameters'}, not '{key}'.")
        try:
            chosen[key] = type(known[key])(text)
        except ValueError:
            raise UnknownPolicy(spec, f"'{key}' is a number like {known[key]}, not '{text}'.") from None
    if name == Auto.name and not {"minimum", "pairs"} & chosen.keys():
        found = border(Auto(**chosen).recall) if border else Border.assumed(device)  # type: ignore[arg-type]
        chosen |= {"minimum": found.keys, "pairs": found.pairs}
    return make(**chosen)


def _minference(spec: str, rest: str, config: Any) -> MInference:
    if rest:
        sizes = rest.split(",")
        if len(sizes) == 2 and all(size.strip().isdecimal() for size in sizes):
            return MInference(default=HeadPattern("vertical_and_slash", int(sizes[0]), int(sizes[1])))
        if config is None:
            raise UnknownPolicy(spec, "a pattern file needs a model to be read for.")
        layers, heads = config.num_hidden_layers, config.num_attention_heads
        return MInference(read_patterns(Path(rest), layers=layers, heads=heads))
    chunked = getattr(config, "dual_chunk_attention_config", None) or {}
    found = chunked.get("sparse_attention_config")
    if found is None:
        return MInference()
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    return MInference(parse_patterns(found, layers=layers, heads=heads, source="in the model's config.json"))
