"""Learned sparse weights: a masked language model trained as SPLADE says which words a passage stands for.

A passage's vector is log(1 + relu(logits)), the greatest over its tokens (SPLADE-max, arXiv 2109.10086). Questions are
not read by the model: each of their tokens weighs its IDF among the passages (inference-free, arXiv 2411.04403).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

MOST_WEIGHTS = 128
"""Words that a passage is kept under, the weightiest."""
LONGEST = 256
"""Tokens of a passage that are read."""
TOGETHER = 16


class Splade:
    """The model of a local folder. It is not the answering model and does not go through the engine."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForMaskedLM, AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModelForMaskedLM.from_pretrained(folder).eval()
        self._special = set(self._tokenizer.all_special_ids)
        self._weights: dict[str, float] = {}

    def passages(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """A vector for each text; and what a question's tokens are worth among these, from now on."""
        ids: list[list[int]] = self._tokenizer(
            list(texts), truncation=True, max_length=LONGEST, verbose=False
        ).input_ids
        within = Counter(t for row in ids for t in set(row) - self._special)
        self._weights = {self._name(t): math.log(1 + (len(ids) - n + 0.5) / (n + 0.5)) for t, n in within.items()}
        made: list[dict[str, float]] = [{}] * len(ids)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))  # of like length together: little padding
        for start in range(0, len(order), TOGETHER):
            some = order[start : start + TOGETHER]
            for i, vector in zip(some, self._vectors([ids[i] for i in some]), strict=True):
                made[i] = vector
        return made

    def question(self, text: str) -> dict[str, float]:
        """A question's tokens by what they are worth."""
        names = {self._name(t) for t in self._tokenizer(text, verbose=False).input_ids if t not in self._special}
        return {name: self._weights[name] for name in names if self._weights.get(name, 0.0) > 0}

    @torch.inference_mode()
    def _vectors(self, rows: list[list[int]]) -> list[dict[str, float]]:
        padded = self._tokenizer.pad({"input_ids": rows}, return_tensors="pt")
        logits = self._model(**padded).logits  # [B, T, vocab]
        logits = logits.masked_fill(padded["attention_mask"].unsqueeze(-1) == 0, 0.0)
        weights, words = torch.log1p(logits.amax(1).relu()).topk(MOST_WEIGHTS, dim=-1)
        return [
            {self._name(w): x for w, x in zip(word.tolist(), weight.tolist(), strict=True) if x > 0}
            for word, weight in zip(words, weights, strict=True)
        ]

    def _name(self, token: int) -> str:
        name: str = self._tokenizer.convert_ids_to_tokens(token)
        return name
