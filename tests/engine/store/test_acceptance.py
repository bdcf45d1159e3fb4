"""The ten acceptance tests of the session store (research/kvstore.md §9): where each is, and those found nowhere else.

1. kill -9 anywhere while saving: test_kills (each step of a save, of an import, any moment), test_writer (in flight).
2. A byte flipped anywhere: test_damage, test_restore, test_transfer.
3. Any field of the namespace changed is a miss that names it: test_store.
4. Two processes saving the same corpus: test_processes.
5. Staging smaller than a layer: test_restore.
6. A full disk, a quota, a folder that is not there: test_full_disk, test_store.
7. Restoring at 80 % of the read rate, faster than computing: python -m tests.benchmarks.store (exit code 1 if not).
8. Models whose states cannot be kept are refused before they are run: here.
9. Two salts never share, and no request sets one: test_store, here.
10. What quantised states answer: here, and in the benchmark.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.context import Context
from engine.engine import Engine
from engine.errors import ModelLoadError
from engine.models.model import LanguageModel
from engine.store import Store
from tests.conftest import ROOT

TEXT = (ROOT / "data" / "samples" / "handbook.md").read_text()


def test_a_model_with_sliding_layers_is_refused_before_anything_is_kept(
    tmp_path: Path, default_model_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config

    config = Qwen2Config(
        vocab_size=49152,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        use_sliding_window=True,
        sliding_window=64,
        max_window_layers=1,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "hybrid")
    AutoTokenizer.from_pretrained(default_model_path).save_pretrained(tmp_path / "hybrid")
    with pytest.raises(ModelLoadError, match="layers other than full attention"):
        LanguageModel.load(str(tmp_path / "hybrid"), home=tmp_path)


def test_two_tenants_of_one_store_never_share_and_learn_nothing_of_each_other(
    default_language_model: LanguageModel, tmp_path: Path
) -> None:
    ids, store = default_language_model.encode(TEXT)[:256], Store(tmp_path / "store")
    mine, yours = (Engine(default_language_model, store=store, chunk_tokens=128, salt=s) for s in ("mine", "yours"))
    mine.context(ids)
    store.flush()
    stats = yours.context(ids).stats
    assert (stats.cached_tokens, stats.miss_reason) == (0, "kept under other settings only: salt is another")
    assert mine.context(ids).stats.cached_tokens == yours.context(ids).stats.cached_tokens == 256
    store.close()


QUESTIONS = ("Who is the warden of the hut?", "What does a night cost?", "When does the hut open?", "Are dogs allowed?")


@pytest.mark.parametrize(("codec", "most"), [("fp8", 0.02), ("int8", 0.02), ("int4", 0.06)])
def test_restored_quantised_states_answer_as_the_exact_ones_do(
    default_language_model: LanguageModel, tmp_path: Path, codec: str, most: float
) -> None:
    """Several questions over one restored context: mean divergence (nats) of the answer's first token."""
    model, store = default_language_model, Store(tmp_path / "store")
    ids = model.encode(TEXT)
    exact = Engine(model, chunk_tokens=128).context(ids)
    engine = Engine(model, store=store, chunk_tokens=128, codec=codec)
    engine.context(ids)
    restored = engine.context(ids)
    assert restored.stats.cached_tokens == len(ids)

    def says(context: Context, question: str) -> Tensor:
        out = model.logits(model.step(model.encode(f"\n\nQuestion: {question}\nAnswer:"), context.cache))
        context.cache.truncate(len(ids))
        return out.float().log_softmax(-1)

    pairs = [(says(exact, q), says(restored, q)) for q in QUESTIONS]
    divergence = sum(float((a.exp() * (a - b)).sum()) for a, b in pairs) / len(pairs)
    assert divergence <= most
    if codec != "int4":
        assert all(torch.argmax(a) == torch.argmax(b) for a, b in pairs)
    store.close()
