"""Generation: the question appended to a context, the answer decoded and streamed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.decode.decoding import Decoding
from engine.decode.logprobs import TokenLogprob, token_logprob
from engine.decode.provenance import Provenance
from engine.decode.sampler import Sampler
from engine.decode.sampling import Sampling
from engine.errors import Cancelled
from engine.events import CancelToken, OnProgress
from engine.kv.prefix import Prefix
from engine.models.detokenize import Detokenizer
from engine.prefill.prefill import Report

if TYPE_CHECKING:
    from engine.models.model import LanguageModel

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class GenerationStats:
    """Times of one generation, in seconds from the call; decode_tokens counts those after the first."""

    suffix_tokens: int
    ttft_seconds: float
    decode_tokens: int
    decode_seconds: float
    finish_reason: FinishReason

    @property
    def decode_tokens_per_second(self) -> float | None:
        """Rate after the first token; None for an answer of one token."""
        return self.decode_tokens / self.decode_seconds if self.decode_tokens and self.decode_seconds else None


class Generation:
    """Iterate it for the answer's pieces; `text`, `token_ids`, `logprobs` (where sampling asks for them) and
    `stats` are complete afterwards."""

    def __init__(
        self,
        model: LanguageModel,
        prefix: Prefix,
        suffix: Sequence[int],
        *,
        sampling: Sampling,
        chunk_tokens: int,
        cancel: CancelToken | None = None,
        on_progress: OnProgress | None = None,
        provenance: Provenance | None = None,
    ) -> None:
        self._model, self._prefix, self._suffix = model, prefix, list(suffix)
        self._sampling, self._chunk, self._cancel, self._progress = sampling, chunk_tokens, cancel, on_progress
        self._provenance = provenance
        self.text = ""
        self.token_ids: list[int] = []
        self.logprobs: list[TokenLogprob] = []
        self.stats: GenerationStats | None = None

    def __iter__(self) -> Iterator[str]:
        """Run to the end, once; what the question and the answer add is gone afterwards."""
        decoding = self._decoding()
        start = first = time.perf_counter()
        finish: FinishReason = "length"
        detokenizer = Detokenizer(self._model.decode, self._sampling.stop)
        sampler = Sampler(self._sampling)
        try:
            logits = decoding.read(0, self._suffix, cancel=self._cancel, report=self._report())
            decoding.going([0])
            for step in range(self._sampling.max_new_tokens):
                token = sampler.next(logits, self.token_ids)
                if step == 0:
                    first = time.perf_counter()
                if token in self._model.stop_ids:
                    finish = "stop"
                    break
                self.token_ids.append(token)
                if (top := self._sampling.logprobs) is not None:
                    self.logprobs.append(token_logprob(logits, token, top=top, decode=self._model.decode))
                piece = detokenizer.push(token)
                if piece:
                    self.text += piece
                    yield piece
                if detokenizer.stopped:
                    finish = "stop"
                    break
                if step + 1 < self._sampling.max_new_tokens:
                    if self._cancel is not None:
                        self._cancel.raise_if_cancelled()
                    logits = decoding.step([token])[0]
            rest = "" if detokenizer.stopped else detokenizer.flush()
            if rest:
                self.text += rest
                yield rest
        except Cancelled:
            finish = "cancelled"
            raise
        finally:
            made = max(len(self.token_ids) - 1, 0)
            self.stats = GenerationStats(len(self._suffix), first - start, made, time.perf_counter() - first, finish)

    def _decoding(self) -> Decoding:
        capacity = len(self._suffix) + self._sampling.max_new_tokens
        return Decoding(
            self._model, self._prefix, capacity=capacity, chunk_tokens=self._chunk, provenance=self._provenance
        )

    def _report(self) -> Report | None:
        if self._progress is None:
            return None
        base, layers = self._prefix.length, len(self._model.decoder.layers)
        return Report(self._progress, done=base, total=base + len(self._suffix), layers=layers)
