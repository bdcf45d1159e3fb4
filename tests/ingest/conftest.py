"""What the ingest tests share: a real tokenizer, and real git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.models.model import LanguageModel
from ingest import Encode


@pytest.fixture(scope="session")
def encode(default_language_model: LanguageModel) -> Encode:
    """The default model's tokenizer."""
    return default_language_model.encode_with_offsets


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    """git in a folder, with nobody's settings."""
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CEILING_DIRECTORIES": str(tmp_path),
    }

    def run(folder: Path, *arguments: str) -> str:
        made = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, check=True)
        return os.fsdecode(made.stdout)

    return run
