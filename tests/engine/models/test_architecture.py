"""What cannot be computed exactly is refused by name or kept within the window where it is exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    CohereConfig,
    Gemma2Config,
    GPT2Config,
    GptOssConfig,
    GraniteConfig,
    MistralConfig,
    Phi3Config,
)

from engine.engine import Engine
from engine.errors import ModelLoadError, PromptTooLong
from engine.models.model import LanguageModel

SMALL: dict[str, Any] = {
    "vocab_size": 49152,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": None,
}
LONGROPE = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 8, "long_factor": [4.0] * 8}


@pytest.fixture
def saved(tmp_path: Path, default_model_path: Path) -> Any:
    """Saves a random model of a configuration and returns its folder."""

    def save(config: Any) -> str:
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
        AutoTokenizer.from_pretrained(default_model_path).save_pretrained(tmp_path)
        return str(tmp_path)

    return save


def load(folder: str) -> LanguageModel:
    return LanguageModel.load(folder, dtype="float32", device="cpu", home=Path(folder))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (GPT2Config(n_embd=64, n_layer=2, n_head=4), "no embed_tokens"),
        (Gemma2Config(**SMALL, head_dim=16), "other than full attention"),
        (GptOssConfig(**SMALL, head_dim=16, num_local_experts=2, layer_types=["full_attention"] * 2), "s_aux"),
        (GraniteConfig(**SMALL, embedding_multiplier=12.0, logits_scaling=8.0), "outside its layers"),
        (CohereConfig(**SMALL, logit_scale=0.06), "outside its layers"),
    ],
    ids=lambda value: getattr(value, "model_type", None),
)
def test_a_family_that_would_be_computed_wrongly_is_refused(config: Any, says: str, saved: Any) -> None:
    with pytest.raises(ModelLoadError, match=says):
        load(saved(config))


@pytest.mark.parametrize(
    "config",
    [
        MistralConfig(**SMALL, sliding_window=64),
        Phi3Config(**SMALL, original_max_position_embeddings=64, rope_parameters=LONGROPE),
    ],
    ids=["sliding", "longrope"],
)
def test_a_window_ends_where_full_attention_stops_being_exact(config: Any, saved: Any) -> None:
    folder = saved(config)
    model = load(folder)
    assert model.window == 64
    tokens = list(range(100, 164))
    with pytest.raises(PromptTooLong):
        Engine(model).context([*tokens, 1])
    cache = Engine(model, chunk_tokens=24).context(tokens[:-1]).cache
    reference = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        expected = reference(torch.tensor([tokens])).logits[0, -1]
    assert (model.logits(model.step(tokens[-1:], cache)) - expected).abs().max() <= 1e-3
