"""Walking sees what git sees, in one order everywhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ingest import FileMissing, walk


def make(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


REPOSITORY = {
    ".gitignore": "*.log\n/build/\n!important.log\ndocs/*.tmp\n**/cache/\n# comment\n\\#hash\n",
    "a.py": "",
    "b.log": "",
    "important.log": "",
    "build/out.txt": "",
    "src/build/kept.txt": "",
    "src/.gitignore": "*.gen\n!keep.gen\n",
    "src/x.gen": "",
    "src/keep.gen": "",
    "src/deep/y.gen": "",
    "src/deep/.gitignore": "!y.gen\n*.py\n",
    "src/deep/z.py": "",
    "docs/a.tmp": "",
    "docs/sub/a.tmp": "",
    "any/cache/c.txt": "",
    "#hash": "",
    ".hidden": "",
    "Zoë/ünï.txt": "",
    "space name.txt": "",
}


def test_a_repository_is_walked_as_git_lists_it(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    make(root, REPOSITORY)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    command = ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    walked = {found.relative.removeprefix("repo/") for found in walk([root])}
    assert walked == {name for name in listed if name}


def test_a_folder_inside_a_repository_obeys_the_files_above_it(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    make(root, REPOSITORY)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    assert {f.relative for f in walk([root / "docs"])} == {"docs/sub/a.tmp"}


def test_a_folder_that_was_named_is_walked_even_where_the_repository_ignores_it(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    make(root, REPOSITORY)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    assert [f.relative for f in walk([root / "build"])] == ["build/out.txt"]


def test_the_order_is_by_bytes_with_files_before_folders(tmp_path: Path) -> None:
    make(tmp_path / "r", {"b.txt": "", "B.txt": "", "a/1": "", "ä.txt": "", "A/2": "", "a.txt": ""})
    assert [f.relative for f in walk([tmp_path / "r"])] == [
        "r/B.txt",
        "r/a.txt",
        "r/b.txt",
        "r/ä.txt",
        "r/A/2",
        "r/a/1",
    ]


def test_links_are_followed_inside_only_and_cycles_end(tmp_path: Path) -> None:
    make(tmp_path / "r", {"real.txt": "", "sub/x.txt": ""})
    (tmp_path / "outside.txt").write_text("no")
    (tmp_path / "r" / "out.txt").symlink_to(tmp_path / "outside.txt")
    (tmp_path / "r" / "sub" / "loop").symlink_to(tmp_path / "r")
    (tmp_path / "r" / "dead").symlink_to(tmp_path / "nowhere")
    (tmp_path / "r" / "same.txt").symlink_to(tmp_path / "r" / "real.txt")
    skipped: list[str] = []
    names = [f.relative for f in walk([tmp_path / "r"], on_skip=lambda path, reason: skipped.append(path.name))]
    assert names == ["r/real.txt", "r/sub/x.txt"]
    assert sorted(skipped) == ["dead", "loop", "out.txt", "same.txt"]


def test_a_missing_root_is_told_before_anything_is_yielded(tmp_path: Path) -> None:
    make(tmp_path, {"a.txt": ""})
    with pytest.raises(FileMissing, match="gone"):
        next(walk([tmp_path / "a.txt", tmp_path / "gone"]))


def test_names_that_are_no_text_are_shown_with_escapes(tmp_path: Path) -> None:
    import os

    os.makedirs(os.fsencode(tmp_path / "r"))
    with open(os.fsencode(tmp_path / "r") + b"/\xff.txt", "wb") as stream:
        stream.write(b"x")
    (found,) = walk([tmp_path / "r"])
    assert found.relative == "r/\\xff.txt"
    assert found.path.read_bytes() == b"x"
