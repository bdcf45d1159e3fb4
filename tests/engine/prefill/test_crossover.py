"""Where sparse prefill begins is measured for the shape at hand, once, and is part of what names kept KV."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.engine import Engine
from engine.evaluation.variant import variant_by_name
from engine.models.model import LanguageModel
from engine.policies import policy_by_name
from engine.policies.auto import causal_pairs
from engine.policies.by_name import Border
from engine.prefill import crossover
from engine.prefill.crossover import GAIN, Sample, Shape, border, border_of_shape, known, measure, meeting, needed

SHAPE = Shape(4, 2, 64, torch.float32, torch.device("cpu"), 1024)
WINDOW = 16384


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(crossover.LENGTHS, "cpu", (1024, 2048, 4096))


def sample(keys: int, ratio: float) -> Sample:
    return Sample(keys, 10.0, 10.0 * ratio, 0.2)


def test_measuring_really_runs_both_and_stops_once_auto_is_faster() -> None:
    samples = measure(SHAPE, 0.95, WINDOW)
    assert [s.keys for s in samples] == [1024, 2048, 4096][: len(samples)]
    assert all(s.ratio > GAIN for s in samples[:-1])
    assert all(0 < s.density <= 2 and s.dense_ms > 0 for s in samples)
    assert samples[-1].dense_ms > 0.5 * samples[0].dense_ms


def test_a_slow_first_call_does_not_end_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels compiled for ten seconds would otherwise leave one length, and `auto` dense for ever."""
    run, called = crossover._run, list[int]()

    def slow_at_first(*arguments: Any) -> tuple[float, float]:
        if not called:
            time.sleep(0.7)
        called.append(1)
        return run(*arguments)

    monkeypatch.setattr(crossover, "_run", slow_at_first)
    monkeypatch.setattr(crossover, "GAIN", 0.0)
    monkeypatch.setitem(crossover.BUDGET_S, "cpu", 0.6)
    assert len(measure(replace(SHAPE, heads=2, kv_heads=1), 0.95, WINDOW)) == 3


def test_a_longer_length_is_not_begun_once_the_time_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossover, "GAIN", 0.0)
    monkeypatch.setitem(crossover.BUDGET_S, "cpu", 0.0)
    assert [s.keys for s in measure(SHAPE, 0.95, WINDOW)] == [1024]


def test_time_is_corrected_to_what_real_heads_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossover, "needed", lambda recall: 5.0)  # five times what is computed by dense
    (found, *_) = measure(SHAPE, 0.95, 1024)
    assert found.auto_ms > 4 * found.dense_ms
    assert [round(needed(r), 2) for r in (0.9, 0.95, 0.99)] == [0.32, 0.42, 0.8]
    assert needed(0.9999) == 1


def test_the_border_lies_where_the_line_between_two_lengths_crosses() -> None:
    halfway = meeting([sample(8192, GAIN + 0.4), sample(16384, GAIN - 0.4)], 16384, 131072)
    assert halfway == Border(12288, causal_pairs(12288, 12288))
    assert meeting([sample(8192, 0.5)], 4096, 131072) == Border(8192, causal_pairs(4096, 8192))


def test_where_auto_is_never_faster_the_whole_window_is_dense() -> None:
    found = meeting([sample(8192, 3.0), sample(16384, 2.0)], 16384, 131072)
    assert found.keys > 131072
    auto = policy_by_name(f"auto:minimum={found.keys},pairs={found.pairs}")
    q, k = torch.randn(1, 2, 128, 64), torch.randn(1, 1, 1, 64).expand(1, 1, 131072, 64)
    assert auto.index(0, q, k) is None


def test_a_measurement_is_made_once_and_kept_for_its_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = border_of_shape(tmp_path, SHAPE, WINDOW)(0.95)
    monkeypatch.setattr(crossover, "measure", lambda *_: pytest.fail("measured again"))
    assert border_of_shape(tmp_path, SHAPE, WINDOW)(0.95) == first
    monkeypatch.undo()
    monkeypatch.setattr(crossover, "measure", lambda *_: [sample(2048, 9), sample(4096, 0.1)])
    wider = replace(SHAPE, heads=8)
    assert border_of_shape(tmp_path, wider, WINDOW)(0.95).keys == 4096
    assert [row["heads"] for row in known(tmp_path)] == [4, 8]
    assert json.loads((tmp_path / "models" / "crossover.json").read_text())


def test_what_was_measured_names_the_kept_kv(tmp_path: Path, default_language_model: LanguageModel) -> None:
    """Another measurement must be another namespace: the same tokens would get other KV."""

    def digest(found: Border) -> str:
        policy = policy_by_name("auto", border=lambda recall: found)
        return Engine(default_language_model, policy=policy).namespace.digest

    assert digest(Border(8192, 10**7)) == digest(Border(8192, 10**7))
    assert len({digest(Border(8192, 10**7)), digest(Border(8192, 2 * 10**7)), digest(Border(9216, 10**7))}) == 3


def test_what_a_person_says_is_not_measured() -> None:
    def fails(recall: float) -> Border:
        pytest.fail("measured")

    assert policy_by_name("auto:minimum=777", border=fails).parameters()["minimum"] == 777
    assert policy_by_name("dense", border=fails).name == "dense"


def test_the_recall_asked_for_is_the_one_measured() -> None:
    asked: list[float] = []
    policy_by_name("auto:level=high", border=lambda recall: asked.append(recall) or Border(5000, 6))  # type: ignore[func-returns-value]
    assert asked == [0.997]


def test_a_short_window_needs_no_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossover, "measure", lambda *_: pytest.fail("measured"))
    assert border_of_shape(tmp_path, SHAPE, 8192)(0.95).keys > 8192


def test_the_evaluation_begins_where_the_application_does(
    tmp_path: Path, default_language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_language_model, "window", WINDOW)
    monkeypatch.setattr(default_language_model, "home", tmp_path)
    monkeypatch.setattr(crossover, "measure", lambda *_: [sample(4096, 0.1)])
    found = variant_by_name("auto", default_language_model).policy.parameters()
    theirs = policy_by_name("auto", border=border(tmp_path, default_language_model)).parameters()
    assert found == theirs
    assert found["minimum"] == 4096


def test_where_it_cannot_be_kept_the_usual_border_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Measured anew at every start it could change, and kept KV would not be found again."""
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        assert border_of_shape(tmp_path / "file" / "home", SHAPE, WINDOW)(0.95) == Border.assumed("cpu")
    assert "cannot be kept" in caplog.text


def test_a_damaged_file_is_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "crossover.json").write_text('{"half')
    monkeypatch.setattr(crossover, "measure", lambda *_: [sample(4096, 0.1)])
    assert border_of_shape(tmp_path, SHAPE, WINDOW)(0.95).keys == 4096
    assert len(known(tmp_path)) == 1
