"""Constrained choice: the candidate that the model prefers, greedily, over the trie of their tokens."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from torch import Tensor


class Walk:
    """The way down the trie of candidates' tokens.

    `ahead` are the tokens to feed before the next decision, `chosen` is the index of the candidate once it is known;
    nothing needs to be fed then. Tokens on which all remaining candidates agree are no decision. Of a candidate and a
    longer one that begins with it, the longer wins. Raises ValueError where every candidate is empty.
    """

    def __init__(self, candidates: Sequence[Sequence[int]]) -> None:
        self._candidates = candidates
        self._left = [i for i, tokens in enumerate(candidates) if tokens]
        if not self._left:
            raise ValueError("choose needs at least one candidate that is not empty")
        self._depth = 0
        self.ahead: list[int] = []
        self.chosen: int | None = None
        self._agree()

    def decide(self, logits: Tensor) -> None:
        """Take the branch that logits [vocab], behind the tokens fed so far, prefer."""
        token = max(sorted(self._options()), key=lambda t: float(logits[t]))
        self._left = [i for i in self._left if self._candidates[i][self._depth] == token]
        self._depth += 1
        self.ahead = [token]
        self._agree()

    def _agree(self) -> None:
        """Go on to the next branch, or to the end."""
        while True:
            longer = [i for i in self._left if len(self._candidates[i]) > self._depth]
            if len(self._left) == 1 or not longer:
                self.chosen = self._left[0]
                return
            self._left = longer
            options = self._options()
            if len(options) > 1:
                return
            self.ahead.append(options.pop())
            self._depth += 1

    def _options(self) -> set[int]:
        return {self._candidates[i][self._depth] for i in self._left}


def choose(candidates: Sequence[Sequence[int]], logits: Tensor, advance: Callable[[Sequence[int]], Tensor]) -> int:
    """Index of the chosen candidate (see Walk).

    `logits` [vocab] are the model's before the first token; `advance(tokens)` feeds tokens and returns the logits
    behind them.
    """
    walk = Walk(candidates)
    while walk.chosen is None:
        walk.decide(advance(walk.ahead) if walk.ahead else logits)
    return walk.chosen


def most_fed(candidates: Sequence[Sequence[int]]) -> int:
    """Tokens that a walk feeds at most: as far as the two that part last are the same."""
    ordered = sorted(list(tokens) for tokens in candidates)
    return max((in_common(a, b) for a, b in itertools.pairwise(ordered)), default=0)


def in_common(a: Sequence[int], b: Sequence[int]) -> int:
    """With how many tokens in common two sequences begin; of many, the least and the greatest have the fewest."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
