"""Which device and number type a model runs with when nobody says."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch


def pick_device(device: str) -> torch.device:
    """'auto' is the GPU where there is one, else the CPU."""
    if device != "auto":
        return torch.device(device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """'auto' is bfloat16 on a GPU and on a CPU with bfloat16 instructions, else float32."""
    if dtype != "auto":
        known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
        if dtype not in known:
            raise ValueError(f"dtype must be auto, {', '.join(known)}, not '{dtype}'")
        return known[dtype]
    if device.type == "cuda":
        return torch.bfloat16
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def pick_chunk(device: torch.device) -> int:
    """Tokens of a prefill chunk when nobody says."""
    return 16384 if device.type == "cuda" else 1024


def device_name(device: torch.device) -> str:
    """What the device is called, a CPU with the threads that torch uses."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass  # not Linux
    return f"{model}, {torch.get_num_threads()} threads"


def load_average() -> float | None:
    """How many processes wanted a core in the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
