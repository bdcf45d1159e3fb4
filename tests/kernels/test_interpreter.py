"""The Triton kernels compute what the reference does, here, without a GPU: Triton's interpreter runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.mark.parametrize(
    "operation",
    [
        "dense_attention",
        "sparse_attention",
        "decode_attention",
        "last_query_scores",
        "antidiagonal_scores",
        "sampled_scores",
        "select_keys",
        "choose_blocks",
        "layer_parts",
        "quantize_pages",
    ],
)
def test_triton_kernels_pass_the_same_tests_under_the_interpreter(operation: str) -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    arguments = ["-q", "-x", "-p", "no:cacheprovider", "-k", "interpreter", str(FOLDER / f"test_{operation}.py")]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        env=environment,
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    assert "passed" in run.stdout
