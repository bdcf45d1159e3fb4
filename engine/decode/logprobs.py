"""TokenLogprob: how likely a drawn token was, and which others were likeliest in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Likely:
    """A token's text and its natural log probability under the model, before temperature and filters."""

    token: str
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A drawn token and the likeliest ones at its place, most first."""

    token: str
    logprob: float
    top: tuple[Likely, ...]


def token_logprob(logits: Tensor, token: int, *, top: int, decode: Callable[[Sequence[int]], str]) -> TokenLogprob:
    """What logits [vocab] say of a token and of the `top` likeliest."""
    scores = logits.float().cpu().log_softmax(dim=-1)
    values, ids = scores.topk(top)
    likeliest = tuple(Likely(decode([int(i)]), float(value)) for value, i in zip(values, ids, strict=True))
    return TokenLogprob(decode([token]), float(scores[token]), likeliest)
