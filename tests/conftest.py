"""What tests share: the default model (fetched and converted once), homes of their own, small random models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from filelock import FileLock

from app.library import Library
from app.settings import Settings
from engine.models import default_model

if TYPE_CHECKING:
    from engine.models.model import LanguageModel

ROOT = Path(__file__).parents[1]
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 512}
SAMPLES = ROOT / "data" / "samples"
KEPT = ROOT / ".cache" / "omnibus"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave GPU tests out where there is no GPU."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def default_model_path() -> Path:
    """Folder of the real default model, made by one worker while the others wait."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with FileLock(KEPT / ".pull.lock"):
        return default_model.pull(KEPT)


@pytest.fixture(scope="session")
def default_language_model(default_model_path: Path) -> LanguageModel:
    """The real default model, loaded once for all tests."""
    from engine.models.model import LanguageModel  # seconds, which the kernels' tests need not wait

    return LanguageModel.load("default", home=KEPT)


@pytest.fixture
def home(tmp_path: Path, default_model_path: Path) -> Path:
    """An OMNIBUS_HOME of the test's own that has the default model."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "models").symlink_to(default_model_path.parent)
    return folder


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    """A Library over a fresh home."""
    with Library(settings=Settings(home=home)) as opened:
        yield opened


@pytest.fixture
def short_library(home: Path) -> Iterator[Library]:
    """A Library that asks the base model, which answers well from 2,048 tokens and reads 8,192 at most."""
    with Library(settings=Settings(home=home, model=default_model.BASE)) as opened:
        yield opened


@pytest.fixture(scope="session")
def random_models(tmp_path_factory: pytest.TempPathFactory, default_model_path: Path) -> dict[str, Path]:
    """Small random-weight models of several families, saved to disk with a real tokenizer."""
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        Glm4Config,
        LlamaConfig,
        MistralConfig,
        Phi3Config,
        Qwen2Config,
        Qwen3Config,
        SmolLM3Config,
    )

    tokenizer = AutoTokenizer.from_pretrained(default_model_path)
    common: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "pad_token_id": None,
    }
    configs = {
        "llama": LlamaConfig(**common),
        "mistral": MistralConfig(**common, sliding_window=None),
        "qwen2": Qwen2Config(**common),
        "qwen3": Qwen3Config(**common, head_dim=32),
        "phi3": Phi3Config(**common),
        "glm4": Glm4Config(**common, head_dim=16),
        "yarn": Qwen2Config(**common, rope_parameters=YARN),
        "smollm3": SmolLM3Config(**{**common, "num_hidden_layers": 4}),  # every fourth layer has no positions
    }
    folders: dict[str, Path] = {}
    for name, config in configs.items():
        torch.manual_seed(len(folders))
        folder = tmp_path_factory.mktemp(name)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        folders[name] = folder
    return folders
