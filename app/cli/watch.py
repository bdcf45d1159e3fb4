"""omnibus watch: keep a collection equal to folders, and say how that goes."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import CollectionOption, JsonOption, ModelOption, err, fail, library, out, print_json, print_table

if TYPE_CHECKING:
    from app.watch.watch import Changes


def watch(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files and folders.", show_default=False)] = None,
    collection: CollectionOption = "default",
    status: Annotated[bool, typer.Option("--status", help="Say how the watches are, and end.")] = False,
    warm: Annotated[bool, typer.Option(help="Read changes into the session store at once.")] = True,
    every: Annotated[float, typer.Option(min=1, help="Seconds between comparisons where no event comes.")] = 60.0,
    settle: Annotated[float, typer.Option(min=0.05, help="Seconds a file must keep still before it is read.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Compare until nothing waits, and end.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Do not watch for the collection any more.")] = False,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a collection equal to folders: new, changed, moved and deleted files are carried over as they come.

    `omnibus serve` watches what was watched before, until it is forgotten.
    """
    with library(model) as lib:
        if status:
            _status(lib.settings.home, as_json)
            return
        if forget:
            lib.watching.forget(collection)
            return
        if not paths:
            raise fail("Name the folders to watch: omnibus watch PATH… --collection NAME", 2)
        from app.watch.watch import Watcher
        from ingest import FileMissing

        for path in paths:
            if not path.expanduser().exists():
                raise FileMissing(path)
        watcher = Watcher(lib, collection, paths, settle_s=settle, warm=warm and not once)
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        if once:
            while watcher.reconcile().pending and not stop.wait(settle):
                pass
            return
        lib.watching.remember(collection, paths)
        err.print(f"Watching for collection '{collection}' (stop with Ctrl-C)", markup=False)
        watcher.run(stop, every_s=every, on_change=_tell)


def _tell(changes: Changes) -> None:
    err.print(f"{changes.read} read ({changes.moved} of them moved), {changes.gone} gone, {changes.pending} waiting")


def _status(home: Path, as_json: bool) -> None:
    from app.watch.watch_status import statuses

    found = statuses(home)
    if as_json:
        print_json(found)
    elif not found:
        out.print("Nothing is watched. Start with: omnibus watch PATH --collection NAME")
    else:
        rows = [
            (s["collection"], s["state"], str(s["queued"]), s["last_change"] or "", s["error"] or "") for s in found
        ]
        print_table(("collection", "state", "waiting", "last change", "problem"), rows)
