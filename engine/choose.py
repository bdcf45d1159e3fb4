"""Constrained choice: the candidate that the model prefers, greedily, over the trie of their tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor


def choose(candidates: Sequence[Sequence[int]], logits: Tensor, advance: Callable[[Sequence[int]], Tensor]) -> int:
    """Index of the chosen candidate.

    `logits` [vocab] are the model's before the first token; `advance(tokens)` feeds tokens and returns the logits
    behind them. Tokens on which all remaining candidates agree are fed together without a decision, and nothing is fed
    once one candidate is left; of a candidate and a longer one that begins with it, the longer wins.
    """
    left = [i for i, tokens in enumerate(candidates) if tokens]
    if not left:
        raise ValueError("choose needs at least one candidate that is not empty")
    depth = 0
    forced: list[int] = []
    while True:
        longer = [i for i in left if len(candidates[i]) > depth]
        if len(left) == 1 or not longer:
            return left[0]
        left = longer
        options = {candidates[i][depth] for i in left}
        if len(options) > 1:
            if forced:
                logits, forced = advance(forced), []
            token = max(options, key=lambda t: float(logits[t]))
        else:
            (token,) = options
        forced.append(token)
        left = [i for i in left if candidates[i][depth] == token]
        depth += 1
