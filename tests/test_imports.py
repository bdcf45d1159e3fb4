"""What a part may load, and when: on a GPU machine only torch, Triton and transformers are there."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize(
    ("own", "kept"), [({}, "5000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")]
)
def test_threads_do_not_spin_long_unless_a_person_says_so(own: dict[str, str], kept: str) -> None:
    code = "import os, sys, engine; assert 'torch' not in sys.modules; print(os.environ.get('GOMP_SPINCOUNT'))"
    clean = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean | own)
    assert run.stdout.strip() == kept
