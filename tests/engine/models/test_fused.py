"""Fused layers are the model's own layers, computed in fewer steps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, Qwen2Config

from engine.models.fused import FusedLayer, fuse
from engine.models.model import LanguageModel
from engine.prefill.attention import NAME, register

FUSED = {"llama", "mistral", "qwen2", "qwen3", "smollm3"}
SMALL = {"vocab_size": 96, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": None}  # fmt: skip


@pytest.mark.parametrize("family", sorted(FUSED | {"phi3", "glm4"}))
def test_families_of_the_llama_kind_are_fused_and_others_are_left(family: str, random_models: dict[str, Path]) -> None:
    model = LanguageModel.load(str(random_models[family]), dtype="float32", device="cpu", home=random_models[family])
    fused = [isinstance(layer, FusedLayer) for layer in model.decoder.layers]
    assert all(fused) if family in FUSED else not any(fused)


def test_a_layer_that_differs_is_not_fused() -> None:
    register()
    model = AutoModelForCausalLM.from_config(Qwen2Config(**SMALL), attn_implementation=NAME).eval()
    mlp = model.model.layers[1].mlp
    whole = mlp.forward
    mlp.forward = lambda x: 2 * whole(x)
    assert fuse(model.model) == 1
    assert isinstance(model.model.layers[0], FusedLayer)
    assert not isinstance(model.model.layers[1], FusedLayer)


def test_a_family_with_more_norms_is_not_fused() -> None:
    register()
    model = AutoModelForCausalLM.from_config(Gemma2Config(**SMALL, head_dim=16), attn_implementation=NAME).eval()
    assert fuse(model.model) == 0


def test_fusing_keeps_no_weight_twice() -> None:
    register()
    model = AutoModelForCausalLM.from_config(Qwen2Config(**SMALL), attn_implementation=NAME).eval()
    before = sum(p.numel() for p in model.parameters())
    assert fuse(model.model) == 2
    assert sum(p.numel() for p in model.parameters()) == before
    assert all(torch.isfinite(p).all() for p in model.parameters())
