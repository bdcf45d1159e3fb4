"""Decoding: questions behind one shared prefix, read and answered token by token; on a GPU by a captured graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.decode.provenance import Provenance
from engine.events import CancelToken
from engine.kv.prefix import Prefix
from engine.kv.tails import Tails
from engine.models.int8 import stepping
from engine.models.layers import run_layers
from engine.prefill.dual_chunk import DualChunk
from engine.prefill.prefill import Report, prefill_segment
from engine.prefill.spans import chunk_spans
from kernels import decode_attention, dense_attention, merge_attention

if TYPE_CHECKING:
    from engine.models.model import LanguageModel


class BehindPrefix:
    """Attention over a shared prefix and over what each sequence has of its own, merged exactly."""

    def __init__(
        self,
        prefix: Prefix,
        lengths: Tensor | None = None,
        *,
        provenance: Provenance | None = None,
        dual: DualChunk | None = None,
    ) -> None:
        """`lengths` int32 [B]: keys of its own that each sequence has, this step's included; None means all given."""
        self._prefix, self._lengths, self._provenance = prefix, lengths, provenance
        self._dual = dual if dual is not None and prefix.length > dual.chunk else None

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> tuple[Tensor, Tensor]:
        """As engine.prefill.attention.Attends."""
        block = self._provenance.block if self._provenance and self._provenance.watches(layer) else None
        if self._dual is not None:
            scale = self._dual.scale(q, scale, self._prefix.length)
        if self._lengths is not None:
            own, own_lse, _ = decode_attention(q, k, v, scale=scale, kv_lens=self._lengths)
        else:
            own, own_lse = dense_attention(q, k, v, scale=scale)
        if not self._prefix.length:
            return own, own_lse
        if self._dual is None:
            before, lse, mass = self._prefix.attend(layer, q, scale, block)
        else:
            (before, lse), mass = self._dual.behind(self._prefix, layer, q, self._positions(q, k), scale), None
        out, whole = merge_attention(before, lse, own, own_lse)
        if mass is not None and self._provenance is not None:
            self._provenance.add(layer, mass * torch.exp(lse - whole).unsqueeze(-1))
        return out, whole

    def _positions(self, q: Tensor, k: Tensor) -> Tensor:
        """Where the queries stand, [B or 1, T]."""
        base, tokens = self._prefix.length, q.shape[2]
        if self._lengths is not None:
            return (self._lengths + base - 1).unsqueeze(1)
        return torch.arange(base + k.shape[2] - tokens, base + k.shape[2], device=q.device)[None]


class Decoding:
    """`batch` sequences behind one prefix, with room for `capacity` tokens each."""

    def __init__(
        self,
        model: LanguageModel,
        prefix: Prefix,
        *,
        batch: int = 1,
        capacity: int,
        chunk_tokens: int = 1024,
        provenance: Provenance | None = None,
    ) -> None:
        f = model.fingerprint
        self._model, self._prefix, self._chunk, self._provenance = model, prefix, chunk_tokens, provenance
        self.tails = Tails(
            f.layers, f.kv_heads, f.head_dim,
            batch=batch, capacity=capacity, base=prefix.length, dtype=model.dtype, device=model.device,
        )  # fmt: skip
        self._tokens = torch.zeros(batch, dtype=torch.long, device=model.device)
        self._going = torch.zeros(batch, dtype=torch.int32, device=model.device)
        self.led = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._logits: Tensor | None = None

    @torch.inference_mode()
    def read(
        self, slot: int, tokens: Sequence[int], *, cancel: CancelToken | None = None, report: Report | None = None
    ) -> Tensor:
        """Feed tokens behind what the slot's sequence has; logits [vocab] behind the last one."""
        cache = self.tails.slot(slot)
        begin = cache.length
        spans = chunk_spans(begin + len(tokens), self._chunk, start=begin)
        hidden = prefill_segment(
            self._model.decoder, cache, tokens, spans,
            attends=BehindPrefix(self._prefix, dual=self._model.dual_chunk), cancel=cancel, report=report,
        )  # fmt: skip
        self.tails.take(slot, cache.length - self._prefix.length)
        return self._model.head(hidden[0, -1])

    def lead(self, tokens: Sequence[int], *, cancel: CancelToken | None = None) -> None:
        """Read, once, the tokens with which every sequence begins; `follow_lead` gives them to one."""
        self.read(0, tokens, cancel=cancel)
        self.led = len(tokens)
        self.tails.keep_lead(self.led)

    def follow_lead(self, slot: int) -> None:
        """Let the slot's sequence begin with the lead, if there is one."""
        if self.led:
            self.tails.follow_lead(slot)

    @torch.inference_mode()
    def read_together(
        self, slots: Sequence[int], suffixes: Sequence[Sequence[int]], *, rows: int = 0, width: int = 0
    ) -> Tensor:
        """Feed slots, each empty or, where there is a lead, about to follow it, their suffixes in one pass.

        Logits [n, vocab] behind the last tokens. The pass is of `rows` sequences of `width` tokens, or of as many as
        there are: of one shape it computes a suffix alike whatever stands beside it.
        """
        width = max(width, *(len(suffix) for suffix in suffixes))
        padded = [[*suffix, *[0] * (width - len(suffix))] for suffix in suffixes]  # nothing looks at what is behind
        padded += [[0] * width] * (rows - len(suffixes))
        begin = self._prefix.length + self.led
        positions = torch.arange(begin, begin + width, device=self._model.device)[None]
        hidden = run_layers(
            self._model.decoder,
            torch.tensor(padded, device=self._model.device),
            positions,
            self.tails.fresh(slots),
            BehindPrefix(self._prefix, dual=self._model.dual_chunk),
        )
        for slot, suffix in zip(slots, suffixes, strict=True):
            self.tails.take(slot, self.led + len(suffix))
        last = torch.tensor([len(suffix) - 1 for suffix in suffixes], device=hidden.device)
        return self._model.head(self._model.decoder.norm(hidden[torch.arange(len(suffixes)), last]))

    def going(self, slots: Sequence[int]) -> None:
        """Which sequences a step moves on; the others stand still."""
        self._going.copy_(torch.tensor([int(b in slots) for b in range(len(self.tails.lengths))]))

    @torch.inference_mode()
    def step(self, tokens: Sequence[int]) -> Tensor:
        """Feed one token to every sequence; logits [B, vocab], valid until the next step."""
        self._tokens.copy_(torch.tensor(tokens))
        if self._model.device.type != "cuda":
            with stepping():
                self._logits = self._run()
        elif self._graph is not None:
            self._graph.replay()
        elif self._logits is None:
            self._logits = self._run()  # compiles and tunes
        else:
            self._capture()
        for b, moved in enumerate(self._going.tolist()):
            self.tails.lengths[b] += moved
        assert self._logits is not None
        return self._logits

    def _capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._logits = self._run()
        self._graph = graph
        graph.replay()

    def _run(self) -> Tensor:
        """One step of every sequence, without a word to the host."""
        tails = self.tails
        positions = (tails.filled + tails.base).long().unsqueeze(1)
        attends = BehindPrefix(self._prefix, tails.filled + 1, provenance=self._provenance, dual=self._model.dual_chunk)
        hidden = run_layers(self._model.decoder, self._tokens.unsqueeze(1), positions, tails, attends)
        tails.filled += self._going
        return self._model.head(self._model.decoder.norm(hidden)[:, 0])
