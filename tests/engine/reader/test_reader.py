"""The reader's adapter: trained with real steps, resumable, merged exactly, small enough to ship, and it answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from app.library import Library
from app.settings import Settings
from engine.models import default_model
from engine.models.model import LanguageModel
from engine.reader.merge import merge
from engine.reader.positions import WINDOW
from engine.reader.train import Batch, Recipe, train
from engine.resources import data_file
from tests.conftest import KEPT, SAMPLES


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with random weights, on disk."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=8192, initializer_range=0.3,
    )  # fmt: skip
    place = tmp_path_factory.mktemp("small")
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(place)
    return place


def batches(step: int) -> Iterator[Batch]:
    """The same rule in every batch: behind 5 comes 9."""
    while True:
        ids = torch.randint(10, 60, (8, 16), generator=torch.Generator().manual_seed(step))
        ids[:, 7], ids[:, 8] = 5, 9
        weights = torch.zeros(8, 16)
        weights[:, 8] = 1
        yield Batch(ids, weights)
        step += 1


def test_twenty_steps_learn_a_rule(small: Path, tmp_path: Path) -> None:
    recipe = Recipe(steps=20, rank=4, alpha=8, rate=2e-2, warm_up=2, every=5)
    assert train(small, tmp_path / "out", recipe, batches, device=torch.device("cpu")) < 1.0
    log = [json.loads(line)["loss"] for line in (tmp_path / "out" / "loss.jsonl").read_text().splitlines()]
    assert log[0] > 3


def test_training_in_two_goes_is_training_in_one(small: Path, tmp_path: Path) -> None:
    recipe = Recipe(steps=10, rank=4, alpha=8, rate=1e-2, warm_up=2, every=1)
    train(small, tmp_path / "one", recipe, batches, device=torch.device("cpu"))

    def six(step: int) -> Iterator[Batch]:
        for number, batch in zip(range(step, 6), batches(step), strict=False):
            assert number < 6
            yield batch

    train(small, tmp_path / "two", recipe, six, device=torch.device("cpu"))
    train(small, tmp_path / "two", recipe, batches, device=torch.device("cpu"))
    one, two = (load_file(tmp_path / n / "adapter_model.safetensors") for n in ("one", "two"))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_what_the_base_expects_is_learned_back(small: Path, tmp_path: Path) -> None:
    recipe = Recipe(steps=20, rank=4, alpha=8, rate=2e-2, warm_up=2, every=1)
    train(small, tmp_path / "away", recipe, batches, device=torch.device("cpu"))

    def taught(step: int) -> Iterator[Batch]:
        for batch in batches(step):
            yield Batch(batch.ids, torch.ones_like(batch.weights), taught=True)

    train(small, tmp_path / "back", recipe, taught, device=torch.device("cpu"), start=tmp_path / "away")
    log = [json.loads(line) for line in (tmp_path / "back" / "loss.jsonl").read_text().splitlines()]
    assert log[0]["taught"]
    assert log[-1]["loss"] < 0.5 * log[0]["loss"]


def test_merged_weights_say_what_peft_says(small: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    recipe = Recipe(steps=8, rank=4, alpha=8, rate=2e-2, warm_up=2, every=1)
    train(small, tmp_path / "out", recipe, batches, device=torch.device("cpu"))
    merge(small, tmp_path / "out", tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    assert merged.config.max_position_embeddings == WINDOW
    plain = AutoModelForCausalLM.from_pretrained(small, config=merged.config, dtype=torch.float32)
    ids = torch.arange(10, 40)[None]
    with torch.inference_mode():
        adapted = PeftModel.from_pretrained(plain, tmp_path / "out")(ids).logits
        assert (merged(ids).logits - adapted).norm() < 0.02 * adapted.norm()  # bfloat16's rounding of the weights


def test_the_adapter_is_small_enough_to_ship() -> None:
    file = data_file("models/reader/adapter_model.safetensors")
    assert file.stat().st_size <= 16 << 20
    assert len(load_file(file)) == 30 * 7 * 2


def test_the_base_is_there_as_it_comes_and_another_model_to_the_session_store(
    default_language_model: LanguageModel,
) -> None:
    base = LanguageModel.load(default_model.BASE, home=KEPT)
    assert (base.name, base.window, base.effective_window) == ("smollm2-135m", 8192, 2048)
    assert default_language_model.window == WINDOW
    assert base.fingerprint.weights != default_language_model.fingerprint.weights
    assert base.fingerprint.rope != default_language_model.fingerprint.rope


def test_a_newer_adapter_is_merged_anew(default_model_path: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / default_model.BASE).symlink_to(default_model_path.parent / default_model.BASE)
    shutil.copytree(default_model_path, models / default_model.NAME)
    assert default_model.present(tmp_path)
    (models / default_model.NAME / "adapter.sha256").write_text("of another one\n")
    (models / default_model.NAME / "model.safetensors").write_bytes(b"old")
    assert not default_model.present(tmp_path)
    made = default_model.pull(tmp_path)
    assert default_model.present(tmp_path)
    assert (made / "model.safetensors").read_bytes() == (default_model_path / "model.safetensors").read_bytes()


def test_the_reader_answers_with_a_quote_and_refuses_what_is_not_there(home: Path) -> None:
    with Library(settings=Settings(home=home)) as library:
        samples = library.collection("samples")
        samples.add(str(SAMPLES))
        answer = samples.ask("Who is the warden of the hut?", mode="whole")
        assert "Ilse Varga" in answer.text.split('"')[0]
        assert any(c.state == "exact" and "Ilse Varga" in c.quote and c.quote in answer.text for c in answer.citations)
        absent = samples.ask("Who repaired the clock tower of Birkenmere?", mode="whole")
        assert "do not say" in absent.text
