"""What prefill, a decode step and a restore must at least do: operations in products, bytes moved once."""

from __future__ import annotations

from typing import Literal

from torch import nn

from engine.bench.roof import Work
from engine.models.int8 import ROWS, Int8Linear
from engine.models.model import LanguageModel


def linears(model: LanguageModel) -> list[nn.Linear]:
    """Every matrix of the decoder's layers."""
    return [module for module in model.decoder.layers.modules() if isinstance(module, nn.Linear)]


def reading(model: LanguageModel, tokens: int, *, density: float = 1.0, behind: int = 0) -> Work:
    """Reading `tokens` behind `behind` others: layers for each token, attention to `density` of the causal pairs.

    Weights are moved once, as if one chunk held everything; the head, which only the last token needs, is left out.
    """
    f = model.fingerprint
    weights = linears(model)
    pairs = density * (tokens * (tokens + 1) / 2 + tokens * behind)
    products = 2.0 * tokens * sum(w.weight.numel() for w in weights)
    attention = 4.0 * f.layers * f.heads * f.head_dim * pairs
    return Work(products + attention, sum(w.weight.nbytes for w in weights) + f.kv_bytes_per_token * (tokens + behind))


def step(
    model: LanguageModel, behind: int, *, sequences: int = 1, weights: int | Literal["ours", "own"] = "ours"
) -> Work:
    """One decode step of so many sequences that share the `behind` tokens before them: all weights and their KV read.

    `weights` are the bytes of an engine's own file; "ours" is what our steps read of them, int8 where they use it, and
    "own" the model in its number type.
    """
    f, matrices = model.fingerprint, linears(model)
    numbers = sum(m.weight.numel() for m in matrices) + model.config.vocab_size * model.config.hidden_size
    int8 = weights == "ours" and sequences <= ROWS and any(isinstance(m, Int8Linear) for m in matrices)
    size = weights if isinstance(weights, int) else numbers * (1 if int8 else matrices[0].weight.itemsize)
    attention = 4.0 * f.layers * f.heads * f.head_dim * behind
    return Work(sequences * (2.0 * numbers + attention), float(size + f.kv_bytes_per_token * behind))


def restoring(model: LanguageModel, tokens: int, file_bytes: int) -> Work:
    """Files read, and keys and values written to their place."""
    return Work(0.0, float(file_bytes + model.fingerprint.kv_bytes_per_token * tokens))
