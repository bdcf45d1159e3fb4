"""omnibus add and ls: archives file by file, and what was skipped or is doubtful."""

from __future__ import annotations

from pathlib import Path

from tests.app.cli.test_commands import omnibus
from tests.ingest.office import package


def test_problems_are_listed_and_nothing_else(home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(package({"good.txt": "words", "../bad.txt": "x", "photo.png": b"\0"}))
    assert omnibus(home, "add", str(tmp_path / "a.zip")).returncode == 0
    lines = omnibus(home, "ls", "default", "--problems").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["a.zip/bad.txt", "a.zip/photo.png"]
    assert "leads out of the archive" in lines[0]
    assert len(omnibus(home, "ls", "default").stdout.splitlines()) == 3
    assert omnibus(home, "ls", "--problems").returncode == 2


def test_duplicates_are_listed_with_what_they_repeat(home: Path, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("the same words")
        assert omnibus(home, "add", str(tmp_path / name)).returncode == 0
    assert omnibus(home, "ls", "default", "--duplicates").stdout == "b.txt\ta.txt\t100%\n"


def test_the_plan_shows_heavy_branches(home: Path, tmp_path: Path) -> None:
    (tmp_path / "r" / "deep").mkdir(parents=True)
    (tmp_path / "r" / "deep" / "a.txt").write_text("words " * 50)
    omnibus(home, "add", str(tmp_path / "r"))
    lines = [line.split("\t") for line in omnibus(home, "plan", "--tree").stdout.splitlines()]
    assert [line[0] for line in lines[:3]] == [".", "r", "r/deep"]
    assert lines[0][1:] == [lines[2][1], "100.0%", lines[0][1], "1"]


def test_rules_are_given_listed_and_undone(home: Path, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"the words of {name}")
        omnibus(home, "add", str(tmp_path / name))
    assert omnibus(home, "pin", "a.txt").stdout == "pin\ta.txt\t1\n"
    assert omnibus(home, "exclude", "b*").stdout == "pin\ta.txt\t1\nexclude\tb*\t1\n"
    assert omnibus(home, "exclude", "--undo", "b*").stdout == "pin\ta.txt\t1\n"
    wrong = omnibus(home, "pin", "--undo", "b*")
    assert (wrong.returncode, "is no rule" in wrong.stderr) == (1, True)
    assert omnibus(home, "snapshots", "show", "0").returncode == 1
    assert "done" in omnibus(home, "jobs", "ls").stdout
