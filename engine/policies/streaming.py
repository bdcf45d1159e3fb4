"""Streaming (A-shape): the first keys of the prompt, the attention sink, and a window before each query.

Source: StreamingLLM (arXiv 2309.17453); as a prefill pattern "A-shape" in MInference (arXiv 2407.02490).
"""

from __future__ import annotations

from torch import Tensor

from kernels import BlockIndex


class Streaming:
    """Sink plus local window, rounded up to whole blocks."""

    name = "streaming"

    def __init__(self, sink: int = 128, local: int = 3968) -> None:
        self.sink, self.local = sink, local

    def parameters(self) -> dict[str, float | int | str]:
        """Sink and window in tokens."""
        return {"sink": self.sink, "local": self.local}

    def index(self, layer: int, q: Tensor, k: Tensor) -> BlockIndex | None:
        """The same index for every head; None while the window still covers everything."""
        if k.shape[2] <= self.sink + self.local:
            return None
        return BlockIndex.streaming(q.shape[2], k.shape[2], sink=self.sink, window=self.local, device=q.device)
