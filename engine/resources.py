"""Files of data/, in a checkout or in an installed package."""

from __future__ import annotations

from pathlib import Path


def data_file(name: str) -> Path:
    """Path of data/<name>: beside the packages in a checkout, inside this package when installed from a wheel."""
    here = Path(__file__).parent
    beside = here.parent / "data" / name
    return beside if beside.is_file() else here / "data" / name
