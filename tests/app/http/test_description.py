"""The OpenAPI description holds: schemathesis asks everything it describes and meets no fault of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.app.serving import NOTES, serving

CONFIG = """[parameters]
"path.name" = ["shore", "nowhere"]
"query.collection" = ["shore", "nowhere"]
"query.document" = "notes.txt"
"""


def fuzz(url: str, folder: Path, *, examples: int, seconds: int) -> subprocess.CompletedProcess[str]:
    checks = "not_a_server_error,content_type_conformance,response_schema_conformance"
    (folder / "schemathesis.toml").write_text(CONFIG)
    program, config = Path(sys.executable).with_name("schemathesis"), folder / "schemathesis.toml"
    command = [program, "--config-file", config, "run", f"{url}/openapi.json", "--checks", checks, "--no-color"]
    command += ["--max-examples", str(examples), "--seed", "7", "--request-timeout", "60"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)


def test_what_is_described_can_be_asked_without_a_fault(tmp_path: Path, random_models: dict[str, Path]) -> None:
    with serving(tmp_path, random_models["llama"]) as (url, library):
        library.collection("default").add_bytes("notes.txt", NOTES.encode())  # what a model without @ asks
        run = fuzz(url, tmp_path, examples=3, seconds=300)
        assert run.returncode == 0, run.stdout[-6000:]
        assert httpx.get(f"{url}/healthz").status_code == 200


@pytest.mark.slow
def test_the_same_at_length(tmp_path: Path, random_models: dict[str, Path]) -> None:
    with serving(tmp_path, random_models["llama"]) as (url, library):
        library.collection("default").add_bytes("notes.txt", NOTES.encode())
        run = fuzz(url, tmp_path, examples=100, seconds=1500)
        assert run.returncode == 0, run.stdout[-6000:]
