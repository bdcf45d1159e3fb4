"""Readers under random damage: any bytes give documents with verdicts, never an exception.

OMNIBUS_FUZZ_EXAMPLES raises the number of examples per reader.
"""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import read_all_bytes
from tests.ingest.hostile import hostile

EXAMPLES = int(os.environ.get("OMNIBUS_FUZZ_EXAMPLES", "60"))
SUFFIXES = sorted("docx pptx xlsx epub ipynb eml mbox csv json jsonl rst html md py txt zip tar gz tgz".split())
SEEDS = {name: data for name, (data, _) in hostile().items() if len(data) < 20_000 and not name.endswith(".pdf")}
QUICK = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def check(data: bytes, name: str) -> None:
    for document in read_all_bytes(data, name):
        assert (document.verdict.status == "skipped") == (not document.text.strip())
        document.text.encode()
        assert not document.pages or document.pages[-1].end == len(document.text)


@pytest.mark.parametrize("suffix", SUFFIXES)
@QUICK
@given(st.binary(max_size=2000))
def test_any_bytes(suffix: str, data: bytes) -> None:
    check(data, f"x.{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
@QUICK
@given(st.text(max_size=2000))
def test_any_text(suffix: str, text: str) -> None:
    check(text.encode("utf-8", "replace"), f"x.{suffix}")


@QUICK
@given(name=st.sampled_from(sorted(SEEDS)), seed=st.integers(0, 2**32), suffix=st.sampled_from(["", *SUFFIXES]))
def test_damaged_files(name: str, seed: int, suffix: str) -> None:
    """A few bytes changed, removed or doubled; sometimes under another reader's name."""
    draw = random.Random(seed)
    data = bytearray(SEEDS[name])
    for _ in range(draw.randint(1, 8)):
        at = draw.randrange(len(data) + 1)
        match draw.randrange(3):
            case 0:
                data[at : at + 1] = draw.randbytes(1)
            case 1:
                del data[at : at + draw.randint(1, 40)]
            case _:
                data[at:at] = data[at : at + draw.randint(1, 40)]
    check(bytes(data), f"x.{suffix}" if suffix and draw.random() < 0.3 else name)
