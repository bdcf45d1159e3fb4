"""How the reader's positions are scaled: YaRN (Peng et al., 2023) from 8K, which the base was trained with, to 32K."""

from __future__ import annotations

YARN = {"rope_type": "yarn", "rope_theta": 100_000.0, "factor": 4.0, "original_max_position_embeddings": 8192}
WINDOW = 32_768
