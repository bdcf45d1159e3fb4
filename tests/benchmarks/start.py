"""How soon a plain installation starts: `python -m tests.benchmarks.start --python VENV/bin/python --out FILE`.

VENV is a clean one: `python -m venv VENV; VENV/bin/pip install .`, no extras. Each command runs --times times, after
one run that compiles; wall clock and processor's time (which other work disturbs less), medians and least.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.host import host
from tests.conftest import SAMPLES

LIMITS = {"import omnibus": 1.0, "omnibus --help": 0.5, "omnibus add FILE": 2.0, "omnibus ls": 2.0}


def seconds(command: list[str], folder: str) -> tuple[float, float]:
    """One run: by the clock, and of the processor."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=_clean(OMNIBUS_HOME=folder))
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return ended - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _clean(**more: str) -> dict[str, str]:
    """The environment without what would find another omnibus, and more in it."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")} | more


def measure(python: Path, times: int) -> dict[str, Any]:
    """A row for a bare Python, the import, the help, and the commands that need no model."""
    program = str(python.parent / "omnibus")
    commands = {
        "python alone": [str(python), "-c", "pass"],
        "import omnibus": [str(python), "-c", "import omnibus"],
        "omnibus --help": [program, "--help"],
        "omnibus add FILE": [program, "add", str(SAMPLES / "handbook.md")],
        "omnibus ls": [program, "ls", "default"],
    }
    made: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        where = [str(python), "-c", "import omnibus; print(omnibus.__file__)"]
        found = subprocess.run(where, cwd=folder, env=_clean(), check=True, capture_output=True, text=True).stdout
        assert "site-packages" in found, found
        for name, command in commands.items():
            seconds(command, folder)
            wall, processor = zip(*(seconds(command, folder) for _ in range(times)), strict=True)
            made[name] = {
                "median s": round(statistics.median(wall), 3),
                "least s": round(min(wall), 3),
                "processor, median s": round(statistics.median(processor), 3),
                "limit s": LIMITS.get(name),
            }
    return made


def main() -> None:
    """Measure, print, write; exit code 1 where a median of the processor's time is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    listed = json.loads(
        subprocess.check_output([options.python, "-m", "pip", "list", "--format", "json"], env=_clean())
    )
    rows = measure(options.python, options.times)
    made = {
        "command": "python -m tests.benchmarks.start --python VENV/bin/python --out FILE",
        **host(),
        "packages": len(listed),
        "times": options.times,
        "rows": rows,
    }
    print(json.dumps(made, indent=1))
    if options.out:
        options.out.write_text(json.dumps(made, indent=1) + "\n")
    over = [name for name, row in rows.items() if row["limit s"] and row["processor, median s"] >= row["limit s"]]
    sys.exit(f"over the limit: {over}" if over else 0)


if __name__ == "__main__":
    main()
