"""What measures on a GPU machine runs there: with torch, Triton and transformers, and without our other packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ABSENT = (
    "sqlalchemy",
    "alembic",
    "fastapi",
    "gradio",
    "pydantic_settings",
    "platformdirs",
    "rapidfuzz",
    "cryptography",
)
"""Not installed where GPUs are lent."""
PROGRAM = """
import importlib, sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
for name in sys.argv[2:]:
    importlib.import_module(name)
"""


@pytest.mark.parametrize(
    "modules",
    [
        ["kernels", "engine.engine", "engine.prefill.crossover", "engine.reader.train"],
        ["engine.store.draft", "engine.store.segment", "engine.store.restore"],
        [
            f"tests.benchmarks.{name}"
            for name in ("crossover", "restore", "prefill", "policies", "answering", "attention")
        ],
    ],
    ids=lambda modules: modules[0],
)
def test_it_imports_without_what_only_the_application_needs(modules: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(ABSENT), *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_the_program_that_checks_it_can_fail() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, "sqlalchemy", "engine.store.store"], cwd=ROOT, capture_output=True, check=False
    )
    assert run.returncode != 0
