"""Which architectures run exactly here: what is refused, how far one can be trusted, and the proof at every load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from engine.errors import ModelLoadError
from engine.prefill.attention import NAME

PARTS = ("embed_tokens", "layers", "norm", "rotary_emb")
PROOF_TOKENS = 16
TOLERANCE = 0.1
"""Relative distance of logits: rounding mostly stays far below it, a scale that we leave out far above."""
ROUNDING = 2.0
"""Where it does not: how much further we may be than transformers' two ways of attention are from each other."""


def require_supported(source: str, model: Any) -> None:
    """Raise ModelLoadError unless this is a decoder of full attention layers with rotary positions."""
    decoder = getattr(model, "model", None)
    missing = [part for part in PARTS if not hasattr(decoder, part)]
    if missing or not hasattr(model, "lm_head"):
        part = missing[0] if missing else "lm_head"
        raise ModelLoadError(
            source, f"{type(model).__name__} is not a decoder with rotary positions (it has no {part})."
        )
    if any(kind != "full_attention" for kind in getattr(model.config, "layer_types", None) or ()):
        raise ModelLoadError(source, "it has layers other than full attention, which Omnibus does not run yet.")


def require_weights(source: str, found: Mapping[str, Any]) -> None:
    """Raise ModelLoadError where the files lack weights or hold another model's; transformers would make them up."""
    for kind, wrong in (("missing_keys", "lack"), ("mismatched_keys", "hold in another shape")):
        names = sorted(str(name[0] if isinstance(name, tuple) else name) for name in found.get(kind, ()))
        if names:
            raise ModelLoadError(
                source, f"its files {wrong} {len(names)} weights of this architecture, {names[0]} first."
            )


def usable_window(config: Any) -> int:
    """Tokens up to which full attention with fixed rotary frequencies is what the model was made for.

    A model whose every layer slides (Mistral 7B v0.1) is exact up to its sliding window. LongRoPE (Phi-3 128K) changes
    all frequencies once the prompt passes the original window, so kept KV would no longer be the prefix's own.
    """
    window = int(config.max_position_embeddings)
    sliding = getattr(config, "sliding_window", None)
    if sliding is not None and not getattr(config, "layer_types", None):
        window = min(window, int(sliding))
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "longrope":
        window = min(window, int(rope["original_max_position_embeddings"]))
    return window


@torch.inference_mode()
def require_agreement(source: str, model: Any, ours: Callable[[list[int]], Tensor]) -> None:
    """Raise ModelLoadError unless `ours(tokens)`, logits [vocab], are those of transformers' own forward pass.

    It catches what no list of names does: embeddings, residuals or logits that a family scales outside its layers.
    """
    vocabulary = int(model.config.vocab_size)
    tokens = [(13 + 7919 * i) % vocabulary for i in range(PROOF_TOKENS)]  # the first ones are often never-trained marks
    name = type(model).__name__
    try:
        got = ours(tokens).float()
    except NotImplementedError as error:
        raise ModelLoadError(source, f"{name} needs {error}, which Omnibus does not run yet.") from error
    expected = _logits(model, tokens, "eager")
    distance, allowed = _distance(got, expected), TOLERANCE
    if distance > allowed:
        allowed = max(allowed, ROUNDING * _distance(_logits(model, tokens, "sdpa"), expected))
    if not distance <= allowed:
        raise ModelLoadError(
            source,
            f"{name} computes something outside its layers that Omnibus does not run yet "
            f"(its logits differ by {distance:.0%}).",
        )


def _logits(model: Any, tokens: list[int], attention: str) -> Tensor:
    """What transformers' own forward pass says next, [vocab], with one of its ways of attention."""
    model.set_attn_implementation(attention)
    try:
        ids = torch.tensor(tokens, device=model.device)[None]
        logits: Tensor = model(ids, use_cache=False).logits[0, -1].float()
    finally:
        model.set_attn_implementation(NAME)
    return logits


def _distance(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm().clamp_min(1e-9))
