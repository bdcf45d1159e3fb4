"""omnibus user as a person uses it: real processes over one home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from app.library import Library
from app.settings import Settings
from tests.conftest import ROOT


def omnibus(home: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "OMNIBUS_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "160"}
    command = [sys.executable, "-m", "omnibus", *arguments]
    return subprocess.run(command, cwd=ROOT, env=settings, input=said, capture_output=True, text=True, check=False)


def test_a_user_is_made_granted_listed_and_forgotten(tmp_path: Path) -> None:
    refused = omnibus(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 1
    assert "Make a user or a token first" in refused.stderr
    with Library(settings=Settings(home=tmp_path)) as library:
        library.collection("hut").add_bytes("hut.md", b"# Hut\n")
    assert "8 to 256 characters" in omnibus(tmp_path, "user", "add", "ann", said="short\n").stderr
    assert omnibus(tmp_path, "user", "add", "ann", said="a good long one\n").returncode == 0
    assert "'ann' is granted: hut." in omnibus(tmp_path, "user", "grant", "ann", "hut").stdout
    assert omnibus(tmp_path, "user", "ls").stdout == "ann\treader\thut\tpassword\n"
    assert omnibus(tmp_path, "user", "rm", "ann").returncode == 0
    assert omnibus(tmp_path, "user", "ls").stdout == ""
