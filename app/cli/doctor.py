"""omnibus doctor: is everything here that Omnibus needs, and if not, what to do."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import typer
from rich.markup import escape

from app.cli.console import JsonOption, library, out, print_json, sentence

if TYPE_CHECKING:
    from app.library import Library

FREE_GB = 5
MARKS = {"ok": "[green]ok  [/green]", "warn": "[yellow]warn[/yellow]", "fail": "[red]fail[/red]"}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding, and what to do where it is not ok."""

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    fix: str = ""


def doctor(as_json: JsonOption = False) -> None:
    """Check this installation and say what to fix; exit code 1 when something must be."""
    with library() as lib:
        checks = [_run(check, lib) for check in CHECKS]
    if as_json:
        print_json(checks)
    else:
        for check in checks:
            out.print(f"{MARKS[check.state]} {escape(f'{check.name}: {check.found} {check.fix}'.rstrip())}")
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(1)


def _run(check: Callable[[Library], Check], lib: Library) -> Check:
    """A check that breaks is a finding too."""
    try:
        return check(lib)
    except Exception as error:
        return Check(check.__name__.strip("_"), "fail", sentence(error)[0])


def _python(_: Library) -> Check:
    found = platform.python_version()
    return Check("Python", "ok", found) if sys.version_info >= (3, 11) else Check("Python", "fail", found, "Use 3.11+.")


def _torch(_: Library) -> Check:
    import torch

    if torch.cuda.is_available():
        return Check("torch", "ok", f"{torch.__version__} on {torch.cuda.get_device_name()}")
    note = "" if torch.cpu._is_avx512_bf16_supported() else ", without bfloat16 instructions (runs in float32)"
    return Check("torch", "ok", f"{torch.__version__} on a CPU with {torch.get_num_threads()} threads{note}")


def _gpu(_: Library) -> Check:
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Check("GPU", "ok", f"{properties.name}, {properties.total_memory / 1e9:,.0f} GB")
    if shutil.which("nvidia-smi"):
        found = f"an NVIDIA driver is here, but torch {torch.__version__} cannot use it."
        return Check("GPU", "warn", found, "Install a CUDA build of torch that suits the driver.")
    return Check("GPU", "ok", "none; the CPU is used, which suits corpora of some thousand tokens")


def _triton(_: Library) -> Check:
    import torch

    try:
        version = importlib.metadata.version("triton")
    except importlib.metadata.PackageNotFoundError:
        version = ""
    if not torch.cuda.is_available():
        return Check("Triton", "ok", f"{version or 'absent'}; not used without a GPU")
    if not version:
        return Check("Triton", "fail", "missing; attention on the GPU needs it.", "Run: pip install triton")
    return Check("Triton", "ok", version)


def _generator(lib: Library) -> Check:
    if lib.generator is None:
        return Check("generator", "ok", "the local model (no OMNIBUS_GENERATOR_URL)")
    from app.answering.generator import CHARACTERS

    tokens = lib.generator.characters // CHARACTERS
    return Check("generator", "ok", f"{lib.generator.name} at {lib.generator.url}, {tokens:,} tokens")


def _packages(_: Library) -> Check:
    found, missing = [], []
    for name in ("transformers", "triton", "gradio", "llama-index-core", "sqlalchemy"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing and missing != ["triton"]:
        return Check("packages", "fail", f"missing {', '.join(missing)}.", "Run: make setup")
    return Check("packages", "ok", ", ".join(found))


def _clash(_: Library) -> Check:
    try:
        version = importlib.metadata.version("kernels")
    except importlib.metadata.PackageNotFoundError:
        return Check("import names", "ok", "no other package is called 'kernels'")
    fix = "Run: pip uninstall kernels, or use an environment of its own."
    return Check("import names", "warn", f"Hugging Face's 'kernels' {version} claims the name of one of ours.", fix)


def _home(lib: Library) -> Check:
    home = lib.settings.home
    try:
        home.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()
    except OSError as error:
        why = f"{home} cannot be written ({error.strerror})."
        return Check("home", "fail", why, "Set OMNIBUS_HOME to a folder that can.")
    free = shutil.disk_usage(home).free / 1e9
    state: Literal["ok", "warn"] = "ok" if free >= FREE_GB else "warn"
    return Check("home", state, f"{home}, {free:,.0f} GB free", "" if state == "ok" else "Sessions need more room.")


def _database(lib: Library) -> Check:
    from sqlalchemy.exc import DatabaseError

    file = lib.settings.database
    try:
        return Check("database", "ok", f"{len(lib.collections())} collections in {file.name}")
    except DatabaseError as error:
        fix = "Move the file away and add the documents again; kept KV states stay."
        return Check("database", "fail", f"{file} cannot be used ({error.orig}).", fix)


def _model(lib: Library) -> Check:
    from engine.models.default_model import present

    if lib.settings.model != "default":
        return Check("model", "ok", f"set to {lib.settings.model}")
    if present(lib.settings.home):
        return Check("model", "ok", "the default model is here")
    return Check("model", "warn", "the default model is not here yet.", "It is fetched at the first question.")


def _policy(lib: Library) -> Check:
    from engine.prefill.crossover import known

    told = f"{lib.settings.policy}"
    if told.partition(":")[0] != "auto":
        return Check("attention", "ok", told)
    rows = [
        f"{row['heads']} heads of {row['head_dim']} on {row['device'].split(',')[0]}: every key below {row['keys']:,}"
        for row in known(lib.settings.home)
    ]
    return Check("attention", "ok", "; ".join([told, *rows] if rows else [f"{told}, not measured for any model yet"]))


CHECKS: tuple[Callable[[Library], Check], ...] = (
    _python, _torch, _gpu, _triton, _packages, _clash, _home, _database, _model, _policy, _generator,
)  # fmt: skip
