"""Long real texts that every installation has, so that nothing is downloaded or committed for a test."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

Kind = Literal["prose", "code"]


def long_text(kind: Kind) -> str:
    """Prose: Python's own language reference, about 200,000 tokens. Code: modules of its library, 100,000."""
    if kind == "prose":
        from pydoc_data.topics import topics

        return "\n\n".join(topics[name] for name in sorted(topics))
    folder = Path(argparse.__file__).parent
    return "\n".join((folder / f"{name}.py").read_text() for name in ("argparse", "tarfile", "typing", "turtle"))
