"""Longer than trained: YaRN put on a loaded model while it is asked beyond its window."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from engine.models.architecture import usable_window
from engine.models.fingerprint import digest_json
from engine.models.model import LanguageModel


@contextmanager
def scaled(model: LanguageModel, tokens: int) -> Iterator[float]:
    """Let the window cover `tokens` by YaRN (arXiv 2309.00071) in the model's config; yields the factor, 1 within it.

    The KV is another model's then, so the fingerprint changes too; behind the block the model is as it was.
    """
    if tokens <= model.window:
        yield 1.0
        return
    before = model.config, model.window, model.fingerprint, model.decoder.rotary_emb
    config = copy.deepcopy(model.config)
    rope = dict(config.rope_parameters)
    trained = int(rope.get("original_max_position_embeddings") or config.max_position_embeddings)
    rope |= {"rope_type": "yarn", "factor": tokens / trained, "original_max_position_embeddings": trained}
    config.rope_parameters, config.max_position_embeddings = rope, tokens
    model.config, model.window = config, usable_window(config)
    model.fingerprint = replace(model.fingerprint, rope=digest_json(rope))
    model.decoder.rotary_emb = type(before[3])(config).to(model.device)
    try:
        yield tokens / trained
    finally:
        model.config, model.window, model.fingerprint, model.decoder.rotary_emb = before
