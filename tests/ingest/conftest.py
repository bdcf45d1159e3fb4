"""A real tokenizer for packing tests."""

from __future__ import annotations

import pytest

from engine.model import LanguageModel
from ingest import Encode


@pytest.fixture(scope="session")
def encode(default_language_model: LanguageModel) -> Encode:
    """The default model's tokenizer."""
    return default_language_model.encode_with_offsets
