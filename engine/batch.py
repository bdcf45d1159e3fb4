"""Batch: many questions over one context, decoded together; a finished question leaves its slot to the next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from torch import Tensor

from engine.decoding import Decoding
from engine.detokenize import Detokenizer
from engine.events import CancelToken
from engine.generate import FinishReason, GenerationStats
from engine.prefix import Prefix
from engine.sampling import Sampler, Sampling

if TYPE_CHECKING:
    from engine.model import LanguageModel

SLOTS = 32
TOGETHER, TOGETHER_TOKENS = 8, 512
"""Questions that a GPU reads at once, if none is longer than so many tokens; a CPU is no faster with several."""
ROUND = 64
"""Room of a slot is a multiple of so many tokens, so that like runs compute alike."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one question of a batch; `index` is the question's place."""

    index: int
    text: str
    token_ids: tuple[int, ...]
    stats: GenerationStats


@dataclass(slots=True)
class _Slot:
    """A question being answered."""

    index: int
    sampler: Sampler
    detokenizer: Detokenizer
    room: int
    suffix_tokens: int
    started: float
    first: float = 0.0
    text: str = ""
    token_ids: list[int] = field(default_factory=list)


class Batch:
    """Iterate it for replies, in the order in which they are finished.

    Each question is sampled with a seed of its own (seed + index) and always among the same number of slots, so its
    answer does not depend on which questions happen to run beside it; `longest` (tokens of the longest suffix of all
    runs that must compute alike) keeps a slot's room from depending on them too.
    """

    def __init__(
        self,
        model: LanguageModel,
        prefix: Prefix,
        suffixes: Sequence[Sequence[int]],
        *,
        sampling: Sampling,
        slots: int = SLOTS,
        longest: int = 0,
        chunk_tokens: int = 1024,
        first_index: int = 0,
        cancel: CancelToken | None = None,
    ) -> None:
        self._model, self._sampling, self._cancel = model, sampling, cancel
        self._waiting = deque(enumerate(suffixes, first_index))
        longest = max(longest, *(len(s) for s in suffixes), 0) + sampling.max_new_tokens
        self._decoding = Decoding(
            model, prefix, batch=slots, capacity=-(-longest // ROUND) * ROUND, chunk_tokens=chunk_tokens
        )
        self._slots: list[_Slot | None] = [None] * slots
        long = any(len(suffix) > TOGETHER_TOKENS for suffix in suffixes)
        self._together = 1 if long or model.device.type == "cpu" else TOGETHER

    def __iter__(self) -> Iterator[Reply]:
        """Run to the end, once; raises Cancelled between two steps."""
        while self._waiting or any(self._slots):
            if self._cancel is not None:
                self._cancel.raise_if_cancelled()
            yield from self._fill()
            if any(self._slots):
                yield from self._step()

    def _fill(self) -> Iterator[Reply]:
        """Give every free slot the next question that is not answered by its first token alone."""
        while self._waiting and not all(self._slots):
            free = [b for b, slot in enumerate(self._slots) if slot is None]
            asked = [self._waiting.popleft() for _ in range(min(len(free), len(self._waiting), self._together))]
            slots = free[: len(asked)]
            for b, (index, suffix) in zip(slots, asked, strict=True):
                self._slots[b] = self._open(index, suffix)
                self._decoding.tails.take(b, 0)
            logits = self._read(slots, [suffix for _, suffix in asked])
            for b, row in zip(slots, logits, strict=True):
                yield from self._advance(b, row)
        self._decoding.going([b for b, slot in enumerate(self._slots) if slot])

    def _read(self, slots: list[int], suffixes: list[Sequence[int]]) -> Tensor | list[Tensor]:
        if len(slots) > 1:
            return self._decoding.read_together(slots, suffixes)
        return [self._decoding.read(slots[0], suffixes[0], cancel=self._cancel)]

    def _open(self, index: int, suffix: Sequence[int]) -> _Slot:
        s = self._sampling
        own = s if s.seed is None else replace(s, seed=s.seed + index)
        detokenizer = Detokenizer(self._model.decode, s.stop)
        return _Slot(index, Sampler(own), detokenizer, s.max_new_tokens, len(suffix), time.perf_counter())

    def _step(self) -> Iterator[Reply]:
        logits = self._decoding.step([slot.token_ids[-1] if slot else 0 for slot in self._slots])
        rows = logits if self._sampling.temperature else logits.float().cpu()
        for b, slot in enumerate(self._slots):
            if slot:
                yield from self._advance(b, rows[b])

    def _advance(self, b: int, logits: Tensor) -> Iterator[Reply]:
        """Draw slot b's next token; its reply where that was the last."""
        slot = self._slots[b]
        assert slot is not None
        token = slot.sampler.next(logits, slot.token_ids)
        slot.first = slot.first or time.perf_counter()
        finish: FinishReason | None = None
        if token in self._model.stop_ids:
            finish = "stop"
        else:
            slot.token_ids.append(token)
            slot.text += slot.detokenizer.push(token)
            if slot.detokenizer.stopped:
                finish = "stop"
            elif len(slot.token_ids) == slot.room:
                finish = "length"
        if finish:
            self._slots[b] = None
            yield _reply(slot, finish)


def _reply(slot: _Slot, finish: FinishReason) -> Reply:
    text = slot.text if slot.detokenizer.stopped else slot.text + slot.detokenizer.flush()
    made, now = max(len(slot.token_ids) - 1, 0), time.perf_counter()
    stats = GenerationStats(slot.suffix_tokens, slot.first - slot.started, made, now - slot.first, finish)
    return Reply(slot.index, text, tuple(slot.token_ids), stats)
