"""The fewest highest scores that hold a share of the whole, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.problem import check_selection


def select_keys(
    scores: Tensor,
    *,
    mass: Tensor | float | None = None,
    count: Tensor | int | None = None,
    forced: Tensor | None = None,
    allowed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As kernels.dispatch.select_keys, by sorting."""
    target = check_selection(scores, mass, count, forced, allowed).unsqueeze(-1)
    scores = scores.float()
    if scores.shape[-1] == 0:
        return scores.int(), torch.zeros(scores.shape[:-1], dtype=torch.int32, device=scores.device)
    if allowed is not None:
        place = torch.arange(scores.shape[-1], device=scores.device)
        scores = scores.masked_fill(place >= allowed.unsqueeze(-1), -1)
    live = scores >= 0
    must = torch.zeros_like(live) if forced is None else forced.expand(scores.shape) & live
    rest = scores.masked_fill(must, -1)
    order = rest.sort(dim=-1, descending=True)
    before = order.values.clamp_min(0).double()
    before = before.cumsum(-1) - before + scores.masked_fill(~must, 0).double().sum(-1, keepdim=True)
    if mass is not None:
        total = scores.clamp_min(0).double().sum(-1, keepdim=True)
        wanted = before < target.double() * total
    else:
        place = torch.arange(scores.shape[-1], device=scores.device) + must.sum(-1, keepdim=True)
        wanted = place < target
    # the lowest score taken; all scores as high as it come along
    lowest = order.values.masked_fill(~wanted, torch.inf).amin(-1, keepdim=True)
    keep = must | ((rest > 0) & (rest >= lowest))
    numbers = torch.arange(scores.shape[-1], device=scores.device).expand(scores.shape)
    listed = numbers.masked_fill(~keep, scores.shape[-1]).sort(dim=-1).values
    return listed.int(), keep.sum(-1, dtype=torch.int32)
