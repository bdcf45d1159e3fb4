"""Forced reading: at each place of a given text behind a prefix, what the model would have said instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.decode.decoding import BehindPrefix, Decoding
from engine.kv.prefix import Prefix
from engine.models.layers import run_layers
from engine.models.model import LanguageModel


@dataclass(frozen=True, slots=True)
class Forced:
    """Of each read token but the unscored first ones: its negative log-likelihood, and the likeliest token there."""

    nll: Tensor
    likeliest: Tensor


@torch.inference_mode()
def forced(model: LanguageModel, prefix: Prefix, tokens: Sequence[int], *, unscored: int = 1) -> Forced:
    """Read all tokens at once behind the prefix and judge those from `unscored` on, each under what stands before it.

    nll float32 [T - unscored] in nats and likeliest int64 [T - unscored], both on the CPU.
    """
    tails = Decoding(model, prefix, capacity=len(tokens)).tails.slot(0)
    ids = torch.tensor(tokens, device=model.device)
    positions = torch.arange(prefix.length, prefix.length + len(tokens), device=model.device)[None]
    hidden = run_layers(model.decoder, ids[None], positions, tails, BehindPrefix(prefix, dual=model.dual_chunk))
    logits = model.head(model.decoder.norm(hidden[0, unscored - 1 : -1])).float()
    chosen = logits.gather(1, ids[unscored:, None]).squeeze(1)
    return Forced((logits.logsumexp(-1) - chosen).cpu(), logits.argmax(-1).cpu())
