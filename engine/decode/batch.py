"""Batch: many questions over one context, decoded together; a finished question leaves its slot to the next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from torch import Tensor

from engine.decode.choose import Walk, most_fed
from engine.decode.decoding import Decoding
from engine.decode.generate import FinishReason, GenerationStats
from engine.decode.sampler import Sampler
from engine.decode.sampling import Sampling
from engine.events import CancelToken
from engine.kv.prefix import Prefix
from engine.models.detokenize import Detokenizer

if TYPE_CHECKING:
    from engine.models.model import LanguageModel

SLOTS = 32
TOGETHER, TOGETHER_TOKENS, WIDTH = 8, 512, 8
"""Questions that are read at once, if none is longer than so many tokens; their pass is a multiple of WIDTH wide."""
ROUND = 64
"""Room of a slot is a multiple of so many tokens, so that like runs compute alike."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one question of a batch; `index` is the question's place, `chosen` that of the candidate chosen
    (see Choice), where there was a choice that had room."""

    index: int
    text: str
    token_ids: tuple[int, ...]
    stats: GenerationStats
    chosen: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What to choose among once an answer is finished: `lead_in` is put behind it, then one of the candidates."""

    lead_in: Sequence[int]
    candidates: Sequence[Sequence[int]]


Choices = Callable[[Reply], Choice | None]
CHOICE_TOKENS = 64
"""Room of a slot for a choice behind the answer; one that needs more is left to the caller."""


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
    reply: Reply | None = None
    walk: Walk | None = None
    ahead: deque[int] = field(default_factory=deque)
    """Of a finished answer: tokens to feed before the next decision of the walk."""


class Batch:
    """Iterate it for replies, in the order in which they are finished.

    Each question is sampled with a seed of its own (seed + index) and always among the same number of slots, so its
    answer does not depend on which questions happen to run beside it; `longest` (tokens of the longest suffix of all
    runs that must compute alike) keeps a slot's room from depending on them too. The first `lead` tokens of every
    suffix of these runs are the same and are read once. `choices` is asked for
    each finished answer, whose slot then goes on to choose.
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
        lead: int = 0,
        choices: Choices | None = None,
        chunk_tokens: int = 1024,
        first_index: int = 0,
        cancel: CancelToken | None = None,
    ) -> None:
        self._model, self._sampling, self._choices, self._cancel = model, sampling, choices, cancel
        self._waiting = deque(enumerate(suffixes, first_index))
        longest = max(longest, *(len(s) for s in suffixes), 0) + sampling.max_new_tokens
        longest += CHOICE_TOKENS if choices else 0
        self._decoding = Decoding(
            model, prefix, batch=slots, capacity=-(-longest // ROUND) * ROUND, chunk_tokens=chunk_tokens
        )
        self._slots: list[_Slot | None] = [None] * slots
        long = any(len(suffix) > TOGETHER_TOKENS for suffix in suffixes)
        self._together = 1 if long else max(1, min(TOGETHER, slots // 4))  # slots wait empty for as many
        self._lead = list(suffixes[0][:lead]) if lead and suffixes else []
        if self._lead and any(len(s) <= lead or list(s[:lead]) != self._lead for s in suffixes):
            raise ValueError(f"suffixes do not all begin with the same {lead} tokens and go on")

    def __iter__(self) -> Iterator[Reply]:
        """Run to the end, once; raises Cancelled between two steps."""
        while self._waiting or any(self._slots):
            if self._cancel is not None:
                self._cancel.raise_if_cancelled()
            if self._lead and not self._decoding.led:
                self._decoding.lead(self._lead, cancel=self._cancel)
            yield from self._fill()
            if any(self._slots):
                yield from self._step()

    def _fill(self) -> Iterator[Reply]:
        """Give free slots the next questions that are not answered by their first token alone."""
        while self._waiting:
            free = [b for b, slot in enumerate(self._slots) if slot is None]
            asked = self._next(len(free))
            if not asked:
                break
            slots = free[: len(asked)]
            for b, (index, suffix) in zip(slots, asked, strict=True):
                self._slots[b] = self._open(index, suffix)
                self._decoding.tails.take(b, 0)
            logits = self._read(slots, [suffix for _, suffix in asked])
            for b, row in zip(slots, logits, strict=True):
                yield from self._advance(b, row)
        self._decoding.going([b for b, slot in enumerate(self._slots) if slot])

    def _next(self, free: int) -> list[tuple[int, Sequence[int]]]:
        """The questions to read now, all as wide as the first that waits; none while they have no slots."""
        width = self._width(self._waiting[0][1])
        alike = ((index, suffix) for index, suffix in self._waiting if self._width(suffix) == width)
        asked = list(islice(alike, self._together))
        if len(asked) > free:
            return []
        taken = {index for index, _ in asked}
        self._waiting = deque(waiting for waiting in self._waiting if waiting[0] not in taken)
        return asked

    def _width(self, suffix: Sequence[int]) -> int:
        """Tokens of the pass that reads a suffix among others, the lead not counted."""
        return -(-(len(suffix) - len(self._lead)) // WIDTH) * WIDTH

    def _read(self, slots: list[int], suffixes: list[Sequence[int]]) -> Tensor | list[Tensor]:
        behind = [suffix[len(self._lead) :] for suffix in suffixes]
        if self._together > 1:
            width = self._width(suffixes[0])
            return self._decoding.read_together(slots, behind, rows=self._together, width=width)
        self._decoding.follow_lead(slots[0])
        return [self._decoding.read(slots[0], behind[0], cancel=self._cancel)]

    def _open(self, index: int, suffix: Sequence[int]) -> _Slot:
        s = self._sampling
        own = s if s.seed is None else replace(s, seed=s.seed + index)
        detokenizer = Detokenizer(self._model.decode, s.stop)
        return _Slot(index, Sampler(own), detokenizer, s.max_new_tokens, len(suffix), time.perf_counter())

    def _step(self) -> Iterator[Reply]:
        logits = self._decoding.step([_next(slot) if slot else 0 for slot in self._slots])
        rows = logits if self._sampling.temperature else logits.float().cpu()
        for b, slot in enumerate(self._slots):
            if slot and slot.reply:
                if not slot.ahead:
                    yield from self._decide(b, slot, rows[b])
            elif slot:
                yield from self._advance(b, rows[b])

    def _advance(self, b: int, logits: Tensor) -> Iterator[Reply]:
        """Draw slot b's next token; where that was the last, its reply, or the first part of its choice."""
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
            yield from self._finish(b, slot, finish, unfed=[] if token in self._model.stop_ids else [token])

    def _finish(self, b: int, slot: _Slot, finish: FinishReason, unfed: list[int]) -> Iterator[Reply]:
        """Slot b's answer is complete: its reply, unless a choice comes first."""
        slot.reply = _reply(slot, finish)
        choice = self._choices(slot.reply) if self._choices else None
        if choice is None or 1 + len(choice.lead_in) + most_fed(choice.candidates) > CHOICE_TOKENS:
            self._slots[b] = None
            yield slot.reply
        else:
            slot.walk = Walk(choice.candidates)
            slot.ahead.extend([*unfed, *choice.lead_in, *slot.walk.ahead])

    def _decide(self, b: int, slot: _Slot, logits: Tensor) -> Iterator[Reply]:
        """Go on with slot b's choice; its reply where that is made."""
        assert slot.reply is not None
        assert slot.walk is not None
        if slot.walk.chosen is None:
            slot.walk.decide(logits)
        if slot.walk.chosen is None:
            slot.ahead.extend(slot.walk.ahead)
        else:
            self._slots[b] = None
            yield replace(slot.reply, chosen=slot.walk.chosen)


def _next(slot: _Slot) -> int:
    """The token to feed: of a choice that is going on, else the one drawn last."""
    return slot.ahead.popleft() if slot.reply else slot.token_ids[-1]


def _reply(slot: _Slot, finish: FinishReason) -> Reply:
    text = slot.text if slot.detokenizer.stopped else slot.text + slot.detokenizer.flush()
    made, now = max(len(slot.token_ids) - 1, 0), time.perf_counter()
    stats = GenerationStats(slot.suffix_tokens, slot.first - slot.started, made, now - slot.first, finish)
    return Reply(slot.index, text, tuple(slot.token_ids), stats)
