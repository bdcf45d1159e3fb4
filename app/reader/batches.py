"""Batches: samples of one length side by side, made by processes of their own ahead of the training."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from app.reader import samples
from app.reader.sources import Source
from app.reader.spoken import Spoken
from engine.reader.train import Batch

LENGTHS = {512: 4, 1024: 8, 2048: 8, 4096: 8, 8192: 6, 16384: 3, 32768: 2}
"""Tokens of a sample, and in which share of the steps: most are short, for they hold more questions to the token."""
TAUGHT_PLAIN, TAUGHT_TEXT = 256, 2048
"""Tokens of a sample in which the reader is held to what the base expects: dialogues and real text."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the steps that hold the reader to the base: in dialogues without documents, and in real text."""

    plain: float = 0.15
    text: float = 0.05


class Maker:
    """Makes the batch of a step for a process: the same numbers always give the same batch."""

    def __init__(
        self, place: Path, sources: Sequence[Source], said: Sequence[Spoken], *, shares: Shares, tokens: int, seed: int,
        longest: int,
    ) -> None:  # fmt: skip
        from transformers import AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(place)
        self._sources, self._said, self._shares, self._tokens, self._seed = sources, said, shares, tokens, seed
        self._lengths = {length: share for length, share in LENGTHS.items() if length <= min(longest, tokens)}

    def __call__(self, step: int, rank: int) -> tuple[Any, Any, bool]:
        """ids and weights [B, L] of a step, and whether the base teaches; all processes get one kind and length."""
        chance = Random(f"{self._seed}/{step}")
        length = chance.choices([*self._lengths], [*self._lengths.values()])[0]
        kind = chance.random()
        taught = kind < self._shares.plain + self._shares.text
        if taught:
            length = TAUGHT_PLAIN if kind < self._shares.plain else min(TAUGHT_TEXT, self._tokens)
        random = Random(f"{self._seed}/{step}/{rank}")
        made = [self._sample(kind, random, length) for _ in range(max(1, self._tokens // length))]
        ids = np.zeros((len(made), length), dtype=np.int32)
        weights = np.zeros((len(made), length), dtype=np.float32)
        for row, sample in enumerate(made):
            ids[row, : len(sample.ids)] = sample.ids
            weights[row, : len(sample.ids)] = sample.weights
        return ids, weights, taught

    def _sample(self, kind: float, random: Random, length: int) -> samples.Sample:
        if kind < self._shares.plain:
            return samples.plain(self._said, random, self._tokenizer, length)
        if kind < self._shares.plain + self._shares.text:
            return samples.text(self._sources, random, self._tokenizer, length)
        return samples.asked(self._sources, random, self._tokenizer, length)


_maker: Maker | None = None


def _call(numbers: tuple[int, int]) -> tuple[Any, Any, bool]:
    assert _maker is not None
    return _maker(*numbers)


def batches(maker: Maker, step: int, steps: int, *, rank: int, workers: int) -> Iterator[Batch]:
    """The batches from a step on; with `workers`, made ahead by so many processes."""
    global _maker
    _maker = maker  # what forked processes inherit
    numbers = ((n, rank) for n in range(step, steps))
    if not workers:
        yield from (_batch(*maker(*n)) for n in numbers)
        return
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        for made in pool.imap(_call, numbers):
            yield _batch(*made)


def _batch(ids: Any, weights: Any, taught: bool) -> Batch:
    return Batch(torch.from_numpy(ids).long(), torch.from_numpy(weights), taught)
