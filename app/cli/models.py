"""omnibus models pull, ls: the models on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from app.cli.console import JsonOption, library, out, print_json, progress

app = typer.Typer(help="Fetch and list models.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class Installed:
    """A model's folder and its size."""

    name: str
    bytes: int
    path: Path


def _installed(folder: Path) -> Installed:
    return Installed(folder.name, sum(file.stat().st_size for file in folder.iterdir()), folder)


@app.command()
def pull(as_json: JsonOption = False) -> None:
    """Fetch the default model and convert it (about 90 MB to fetch, once)."""
    from engine.models.default_model import pull as fetch

    with library() as lib, progress() as show:
        folder = fetch(lib.settings.home, show)
    if as_json:
        print_json(_installed(folder))
    else:
        out.print(f"The default model is in {folder}.", markup=False)


@app.command()
def ls(as_json: JsonOption = False) -> None:
    """List the models under OMNIBUS_HOME."""
    with library() as lib:
        folders = sorted((lib.settings.home / "models").glob("*/config.json"))
        found = [_installed(file.parent) for file in folders]
        if as_json:
            print_json(found)
        elif not found:
            out.print("No model yet. The default one is fetched at the first question, or with: omnibus models pull")
        for model in [] if as_json else found:
            out.print(f"{model.name}  {model.bytes / 1e6:,.0f} MB  {model.path}", markup=False)
