"""The walk and git agree on ignore files that nobody would write, and nothing in a folder trips the walk up."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import read, walk


def make(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


NAMES = st.sampled_from(["a", "b", "c.x", "d.y"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
RULES = st.builds(
    lambda bang, anchor, body, tail: bang + anchor + body + tail,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "/"]),
    st.sampled_from(["a", "b", "c.x", "*.x", "*", "a/b", "**/b", "a/**", "a/*", "?", "[ab]", "a/**/c.x"]),
    st.sampled_from(["", "", "/"]),
)


@settings(
    deadline=None, max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    files=st.sets(PATHS, min_size=1, max_size=12),
    ignores=st.dictionaries(
        st.sampled_from(["", "a/", "b/", "a/b/"]), st.lists(RULES, min_size=1, max_size=4), max_size=3
    ),
)
def test_any_ignore_files_mean_to_the_walk_what_they_mean_to_git(
    tmp_path: Path, git: Callable[..., str], files: set[str], ignores: dict[str, list[str]]
) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        root = Path(folder) / "repo"
        root.mkdir()
        make(root, {f: "" for f in files if not any(f.startswith(f"{o}/") or o.startswith(f"{f}/") for o in files)})
        for base, rules in ignores.items():
            if (root / base).is_dir():
                make(root, {f"{base}.gitignore": "\n".join(rules) + "\n"})
        git(root, "init", "-q")
        listed = git(root, "ls-files", "-co", "--exclude-standard", "-z").split("\0")
        assert {found.relative.removeprefix("repo/") for found in walk([root])} == set(listed) - {""}


def test_a_folder_obeys_the_repositorys_private_rules(tmp_path: Path, git: Callable[..., str]) -> None:
    root = tmp_path / "repo"
    make(root, {"sub/a.txt": "", "sub/b.txt": ""})
    git(root, "init", "-q")
    (root / ".git" / "info" / "exclude").write_text("/sub/b.txt\n")
    assert [f.relative for f in walk([root / "sub"])] == ["sub/a.txt"]


def test_a_link_to_an_ignored_file_keeps_its_text(tmp_path: Path) -> None:
    make(tmp_path / "r", {".gitignore": "real.txt\n", "real.txt": "x"})
    (tmp_path / "r" / "link.txt").symlink_to("real.txt")
    assert [f.relative for f in walk([tmp_path / "r"])] == ["r/.gitignore", "r/link.txt"]


def test_a_file_named_twice_comes_once(tmp_path: Path) -> None:
    make(tmp_path / "r", {"a.txt": "", "b.txt": ""})
    assert [f.relative for f in walk([tmp_path / "r", tmp_path / "r" / "a.txt"])] == ["r/a.txt", "r/b.txt"]


def test_pipes_are_told_and_not_opened(tmp_path: Path) -> None:
    make(tmp_path / "r", {"a.txt": ""})
    os.mkfifo(tmp_path / "r" / "pipe")
    skipped: list[tuple[str, str]] = []
    found = walk([tmp_path / "r"], on_skip=lambda path, reason: skipped.append((path.name, reason)))
    assert [f.relative for f in found] == ["r/a.txt"]
    assert skipped == [("pipe", "it is a device, a pipe or a socket, not a file")]


def test_folders_nested_deeper_than_python_calls_are_walked(tmp_path: Path) -> None:
    here = os.getcwd()
    (tmp_path / "r").mkdir()
    try:
        os.chdir(tmp_path / "r")
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
        Path("end.txt").write_text("x")
        os.chdir(here)
        assert [found.path.name for found in walk([tmp_path / "r"])] == ["end.txt"]
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", str(tmp_path / "r")], check=True)  # deeper than pytest's own cleaning goes


def test_every_file_seen_is_loaded_or_skipped_with_a_reason(tmp_path: Path) -> None:
    root = tmp_path / "r"
    make(root, {"a.txt": "x", "empty": "", "sub/b.md": "# B\n", "__pycache__/a.pyc": "x", "closed/c.txt": "x"})
    (root / "blob.bin").write_bytes(b"\0\1\2")
    (root / "latin.txt").write_bytes("déjà".encode("latin-1"))
    (root / "torn.pdf").write_bytes(b"%PDF-1.7 no more")
    with (root / "huge.txt").open("wb") as stream:
        stream.truncate(1 << 30)  # a sparse gigabyte
    (root / "link").symlink_to("a.txt")
    skipped: dict[str, str] = {}
    documents = [
        read(f.path, f.relative) for f in walk([root], on_skip=lambda p, why: skipped.__setitem__(p.name, why))
    ]
    skipped |= {Path(d.path).name: d.verdict.reason or "" for d in documents if d.verdict.status == "skipped"}
    loaded = {Path(d.path).name for d in documents if d.verdict.status != "skipped"}
    assert loaded == {"a.txt", "b.md", "c.txt", "latin.txt"}
    assert set(skipped) == {"empty", "__pycache__", "blob.bin", "torn.pdf", "huge.txt", "link"}
    assert all(skipped.values())
