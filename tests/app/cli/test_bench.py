"""omnibus bench measures the default model on this machine and says how near that is to the machine's limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.cli.bench import show_bench
from engine.bench.bench import Bench
from engine.bench.cases import Row
from engine.bench.roof import Roof

RATES = ("prefill", "decode", "restore", "batch")


def test_a_short_bench_prints_figures_with_their_share_and_keeps_them(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIBUS_HOME", str(home))
    place = tmp_path / "kept" / "bench.json"
    options = ["--tokens", "160", "--rounds", "1", "--questions", "2", "--policies", "streaming", "--quick"]
    run = CliRunner().invoke(app, ["bench", *options, "--json", "--out", str(place)])
    assert run.exit_code == 0, run.output
    found = json.loads(place.read_text())
    assert json.loads(run.stdout) == found
    rows = {(row["what"], row["who"]): row for row in found["rows"]}
    assert {what for what, who in rows if who == "Omnibus"} == set(RATES)
    assert {what for what, who in rows if who == "transformers, SDPA"} == {"prefill", "decode"}
    assert ("prefill", "Omnibus, streaming") in rows
    for row in rows.values():
        assert row["seconds"] > 0
        assert 0 < row["share"] < 2  # a cache may give more than memory does
        assert row["bound"] in ("memory", "products")
    assert rows["prefill", "Omnibus"]["times"] == 1.0
    assert found["environment"]["command"].startswith("omnibus bench --tokens 160 --rounds 1")
    assert {row["rounds"] for row in found["rows"]} == {1}
    assert "tokens a second of a prompt of 160" in found["meaning"]
    assert not set(found["missing"]) & {row["who"] for row in found["rows"]}


def test_wrong_lengths_are_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIBUS_HOME", str(home))
    assert CliRunner().invoke(app, ["bench", "--tokens", "many"]).exit_code == 2
    assert CliRunner().invoke(app, ["bench", "--tokens", "8"]).exit_code == 2


def test_a_person_sees_what_was_measured_and_what_would_install_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    ours = [Row(what, "Omnibus", 512, 1.0, 512.0, 0.5, "products", 2.0, 1) for what in RATES]
    roof = Roof(1e10, 1e12, "how")
    found = Bench({"model": "m", "questions": 4, "rounds": 2}, roof, ours, {"vLLM": "not installed: pip install vllm"})
    show_bench(found)
    printed = capsys.readouterr().out
    assert "Not measured: vLLM (not installed: pip install vllm)." in printed
    assert printed.count("vLLM") == 1
    assert "time was up after 1 of 2 rounds" in printed
