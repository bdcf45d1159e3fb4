"""The machine and the code that a figure was measured on, where no model is."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.conftest import ROOT


def host() -> dict[str, Any]:
    """Device, versions, commit, load and time, as a file of results keeps them."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    head = ["git", "rev-parse", "--short", "HEAD"]
    return {
        "device": f"{cpu}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "commit": subprocess.run(head, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip(),
        "load": [round(load, 1) for load in os.getloadavg()[:2]],
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
