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
from tests.conftest import SAMPLES
from tests.ingest.hostile import hostile

EXAMPLES = int(os.environ.get("OMNIBUS_FUZZ_EXAMPLES", "60"))
SUFFIXES = sorted("docx pptx xlsx epub ipynb eml mbox csv json jsonl rst html md py txt zip tar gz tgz".split())
SEEDS = {name: data for name, (data, _) in hostile().items() if len(data) < 20_000 and not name.endswith(".pdf")}
PDFS = {
    "book.pdf": (SAMPLES / "handbook.pdf").read_bytes(),
    **{name: data for name, (data, _) in hostile().items() if name.endswith(".pdf") and len(data) < 20_000},
}
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
    """Sometimes under another reader's name."""
    draw = random.Random(seed)
    data = damaged(SEEDS[name], draw)
    check(data, f"x.{suffix}" if suffix and draw.random() < 0.3 else name)


@settings(QUICK, max_examples=max(4, EXAMPLES // 10))
@given(name=st.sampled_from(sorted(PDFS)), seed=st.integers(0, 2**32))
def test_damaged_pdfs(name: str, seed: int) -> None:
    """Each is read by a process of its own, which is why there are fewer."""
    check(damaged(PDFS[name], random.Random(seed)), name)


def damaged(data: bytes, draw: random.Random) -> bytes:
    """A few bytes changed, removed or doubled."""
    out = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        at = draw.randrange(len(out) + 1)
        match draw.randrange(3):
            case 0:
                out[at : at + 1] = draw.randbytes(1)
            case 1:
                del out[at : at + draw.randint(1, 40)]
            case _:
                out[at:at] = out[at : at + draw.randint(1, 40)]
    return bytes(out)
