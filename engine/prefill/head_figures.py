"""HeadFigures: what each attention head of each layer computed in a prefill, and what of its attention that kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class HeadFigures:
    """Per layer and query head, as shares of one: [layers][heads].

    `density`: of the causal (query, key) pairs, those computed (what was computed twice counts twice). `kept`: of the
    attention, what the keys read hold, the mean over sampled queries of the sparse calls; 1 where every call was dense.
    """

    density: Rows
    kept: Rows

    @property
    def dense(self) -> bool:
        """Whether nothing was left out."""
        return all(share >= 1 for row in self.density for share in row)


def head_figures(pairs: Mapping[int, float], computed: Mapping[int, Tensor], kept: Mapping[int, Tensor]) -> HeadFigures:
    """From pairs per layer, pairs computed per layer and head [H], and kept mass [H] of the layers that had any."""
    layers = sorted(pairs)
    ones = {i: computed[i].new_ones(computed[i].shape) for i in layers}
    return HeadFigures(
        tuple(_row(computed[i] / pairs[i], 4) for i in layers), tuple(_row(kept.get(i, ones[i]), 5) for i in layers)
    )


def _row(values: Tensor, digits: int) -> tuple[float, ...]:
    return tuple(round(value, digits) for value in values.tolist())
