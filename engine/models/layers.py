"""A transformers decoder's own layers, called by us: one layer on a part of a prompt, or all of them in turn."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from engine.prefill.attention import Attends, attending


def run_layer(layer: Any, hidden: Tensor, positions: Tensor, rotary: tuple[Tensor, Tensor], cache: Any) -> Tensor:
    """Hidden states [B, T, hidden] behind one layer; positions [B or 1, T], rotary cos and sin of the same tokens."""
    out = layer(
        hidden,
        attention_mask=None,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        position_embeddings=rotary,
    )
    after: Tensor = out[0] if isinstance(out, tuple) else out
    return after


def run_layers(decoder: Any, tokens: Tensor, positions: Tensor, cache: Any, attends: Attends) -> Tensor:
    """Hidden states [B, T, hidden] of tokens [B, T] behind every layer, before the last norm."""
    hidden: Tensor = decoder.embed_tokens(tokens)
    rotary = decoder.rotary_emb(hidden, position_ids=positions)
    with attending(attends):
        for layer in decoder.layers:
            hidden = run_layer(layer, hidden, positions, rotary, cache)
    return hidden
