"""What a sparse policy is: it turns a chunk's queries and the keys so far into a BlockIndex."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from kernels import BlockIndex


class Policy(Protocol):
    """Chooses, per layer and chunk, which keys each block of queries attends to."""

    name: str

    def parameters(self) -> dict[str, float | int | str]:
        """Everything that changes the index; part of the session store's namespace."""
        ...

    def index(self, layer: int, q: Tensor, k: Tensor) -> BlockIndex | None:
        """The index for q [1, H, Tq, D] over k [1, Hkv, Tk, D], Tq <= Tk; None means every key (dense)."""
        ...
