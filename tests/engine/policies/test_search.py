"""The search picks, per head, the cheapest pattern that keeps enough attention, and writes what others can read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from app.cli import app
from engine.models.model import LanguageModel
from engine.policies import policy_by_name
from engine.policies.pattern_file import HeadPattern, read_patterns
from engine.policies.search import Searcher, Tried, search_patterns
from tests.texts import long_text

FEW = (
    HeadPattern("stream_llm", 64, 256),
    HeadPattern("vertical_and_slash", 500, 700),
    HeadPattern("block_sparse", 100, 0),
)


def test_the_cheapest_that_keeps_enough_wins_else_the_best() -> None:
    searcher = Searcher(0.9, FEW, lambda layer: None)
    tried = [
        Tried(FEW[0], 1.0, torch.tensor([0.95, 0.5, 0.3])),
        Tried(FEW[1], 2.0, torch.tensor([0.99, 0.92, 0.6])),
        Tried(FEW[2], 3.0, torch.tensor([1.0, 0.99, 0.5])),
    ]
    assert [searcher._best(tried, head).kind for head in range(3)] == [
        "stream_llm",
        "vertical_and_slash",
        "vertical_and_slash",
    ]
    assert searcher._best(tried, 1).score == pytest.approx(0.92)


def test_a_real_model_gets_patterns_for_every_head(default_language_model: LanguageModel) -> None:
    config = default_language_model.config
    tokens = default_language_model.encode(long_text("prose")[:6000])[:800]
    seen: list[int] = []
    found = search_patterns(default_language_model, tokens, candidates=FEW, on_layer=seen.append)
    assert seen == list(range(config.num_hidden_layers))
    assert {len(layer) for layer in found} == {config.num_attention_heads}
    assert all(0 < pattern.score <= 1 for layer in found for pattern in layer)


def test_the_commands_write_show_and_draw(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setenv("OMNIBUS_HOME", str(home))
    text, file, picture = tmp_path / "text.txt", tmp_path / "found.json", tmp_path / "found.png"
    text.write_text(long_text("prose")[:6000])
    run = CliRunner().invoke(app, ["patterns", "search", "--text", str(text), "--out", str(file), "--tokens", "600"])
    assert run.exit_code == 0, run.output
    assert "30 layers, 9 heads, searched on 600 tokens" in run.output
    assert len(read_patterns(file, layers=30, heads=9)) == 30
    run = CliRunner().invoke(app, ["patterns", "show", str(file), "--picture", str(picture)])
    assert run.exit_code == 0, run.output
    assert " heads  " in run.output
    assert Image.open(picture).size[0] > 9 * 10


def test_a_bad_file_is_told_in_one_sentence(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIBUS_HOME", str(home))
    file = tmp_path / "bad.json"
    file.write_text('[{"0": ["diagonal", 1, 2, 1]}]')
    run = CliRunner().invoke(app, ["patterns", "show", str(file)])
    assert run.exit_code == 1
    assert "layer 0, head 0 has the unknown type 'diagonal'" in run.output


def test_found_patterns_make_a_policy(tmp_path: Path, default_language_model: LanguageModel) -> None:
    from engine.policies.pattern_file import write_patterns

    config = default_language_model.config
    write_patterns(tmp_path / "p.json", [[FEW[0]] * config.num_attention_heads] * config.num_hidden_layers)
    assert policy_by_name(f"minference:{tmp_path / 'p.json'}", config).parameters()["patterns"]
