"""Dense: every query sees every key before it."""

from __future__ import annotations

from torch import Tensor

from kernels import BlockIndex


class Dense:
    """Exact causal attention."""

    name = "dense"

    def parameters(self) -> dict[str, float | int | str]:
        """None."""
        return {}

    def index(self, layer: int, q: Tensor, k: Tensor) -> BlockIndex | None:
        """Always None: no key is left out."""
        return None
