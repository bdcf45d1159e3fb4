"""omnibus eval measures the default model, says what it means, and a measured window is heeded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.library import Library
from app.settings import Settings
from engine.models.measured import measured, remember_window


def test_a_small_evaluation_prints_a_table_and_what_it_means(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIBUS_HOME", str(home))
    options = ["--suites", "passkey", "--lengths", "400", "--policies", "dense", "--out", str(tmp_path / "out")]
    run = CliRunner().invoke(app, ["eval", *options])
    assert run.exit_code == 0, run.output
    assert "### all questions, 400 tokens" in run.output
    assert "dense attention" in run.output
    assert (tmp_path / "out" / "report.html").is_file()
    assert CliRunner().invoke(app, ["eval", "--lengths", "many"]).exit_code == 2
    wrong = CliRunner().invoke(app, ["eval", "--suites", "haystack", "--out", str(tmp_path / "other")])
    assert wrong.exit_code == 1
    assert "No suite 'haystack'" in wrong.output


def test_time_that_is_up_is_told_with_what_was_measured_until_then(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIBUS_HOME", str(home))
    monkeypatch.setattr("app.cli.evaluate.QUICK_MINUTES", 0.01)
    monkeypatch.setattr("app.cli.evaluate.QUICK_SUITES", ["passkey", "needle#1"])
    monkeypatch.setattr("app.cli.evaluate.QUICK_LENGTHS", [300])
    run = CliRunner().invoke(app, ["eval", "--quick", "--policies", "dense", "--out", str(tmp_path / "out")])
    assert run.exit_code == 0, run.output
    assert "Time was up before every question was asked" in run.output
    assert "### all questions, 300 tokens" in run.output
    assert "needle" not in run.output


def test_a_measured_window_decides_what_is_answered_whole(home: Path) -> None:
    (home / "models").unlink()
    kept = Path(__file__).parents[3] / ".cache" / "omnibus" / "models"
    (home / "models").mkdir()
    for file in kept.iterdir():
        (home / "models" / file.name).symlink_to(file)
    remember_window(home, "smollm2-135m-reader", 512)
    assert measured(home) == {"smollm2-135m-reader": {"effective_window": 512}}
    with Library(settings=Settings(home=home)) as library:
        assert library.engine.model.effective_window == 512
        assert library.engine.model.packed_window == 512


def test_a_damaged_file_of_measurements_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "measured.json").write_text("{")
    assert measured(tmp_path) == {}


def test_the_window_is_kept_only_where_nine_in_ten_are_right(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = (home / "models").resolve()
    (home / "models").unlink()
    (home / "models").mkdir()
    for file in kept.iterdir():
        if file.name != "measured.json":
            (home / "models" / file.name).symlink_to(file)
    monkeypatch.setenv("OMNIBUS_HOME", str(home))
    run = CliRunner().invoke(app, ["eval", "window", "--most", "512", "--rounds", "1", "--out", str(tmp_path / "w")])
    assert run.exit_code == 0, run.output
    found = json.loads((tmp_path / "w" / "window.json").read_text())
    ((length, score),) = found["scores"]
    assert length == 512
    assert f"512 tokens: {score:.0%} of 10 answers right" in run.output
    assert found["relative"] == (512 if score else None)
    assert found["effective"] == (512 if score >= 0.9 else None)
    assert measured(home) == ({"smollm2-135m-reader": {"effective_window": 512}} if score >= 0.9 else {})
    assert "for comparison only" in run.output
