"""TriangleMix: early layers dense, late ones a triangle: sink, window, and the last queries in full.

Source: TriangleMix (MInference project, 2025). There the last queries are those of the prompt. KV that is kept for
other questions must not depend on where a prompt ends, so here the last queries are a later turn: a chunk of at most
`last` tokens is dense, a longer one streams.
"""

from __future__ import annotations

from torch import Tensor

from engine.policies.streaming import Streaming
from kernels import BlockIndex


class TriangleMix:
    """Dense below layer `first_layer`, streaming from it on."""

    name = "trianglemix"

    def __init__(self, first_layer: int = 16, sink: int = 8, local: int = 512, last: int = 128) -> None:
        self.first_layer, self.last = first_layer, last
        self._streaming = Streaming(sink, local)

    def parameters(self) -> dict[str, float | int | str]:
        """The layer, the triangle's sizes and the longest chunk that stays dense."""
        return {"first_layer": self.first_layer, "last": self.last, **self._streaming.parameters()}

    def index(self, layer: int, q: Tensor, k: Tensor) -> BlockIndex | None:
        """None, every key, in early layers and for short chunks; else sink and window."""
        if layer < self.first_layer or q.shape[2] <= self.last:
            return None
        return self._streaming.index(layer, q, k)
