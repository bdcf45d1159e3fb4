"""Models of a known shape with random weights, made on the device: what speed needs of a model."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from engine.models.fused import fuse
from engine.prefill.attention import NAME, register

SHAPES: dict[str, dict[str, int]] = {
    "llama-3.1-8b": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 128256,
    },
    "smollm2-135m": {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "head_dim": 64,
        "vocab_size": 49152,
    },
    "small": {
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "vocab_size": 1024,
    },
}


def random_model(shape: str, tokens: int, device: str, *, layers: int | None = None) -> Any:
    """A transformers model of this shape (its first `layers`) for prompts of `tokens` tokens, bfloat16, fused."""
    register()
    sizes = dict(SHAPES[shape])
    sizes["num_hidden_layers"] = min(layers or sizes["num_hidden_layers"], sizes["num_hidden_layers"])
    config = LlamaConfig(**sizes, max_position_embeddings=tokens, rope_theta=1e7, pad_token_id=None)
    config._attn_implementation = NAME
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.to_empty(device=device).eval().requires_grad_(False)
    model.model.rotary_emb = type(model.model.rotary_emb)(config).to(device)
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if "norm" in name:
            weight.fill_(1)
        else:
            weight.normal_(std=weight.shape[-1] ** -0.5)
    if fuse(model.model) != config.num_hidden_layers:
        raise RuntimeError("the fused layers differ from transformers' own")
    return model


def linear_flops(shape: str) -> float:
    """Floating-point operations of one token in all layers' matrix products."""
    s = SHAPES[shape]
    attention = (s["num_attention_heads"] * 2 + s["num_key_value_heads"] * 2) * s["head_dim"] * s["hidden_size"]
    return 2.0 * s["num_hidden_layers"] * (attention + 3 * s["hidden_size"] * s["intermediate_size"])
