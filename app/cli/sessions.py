"""omnibus sessions ls, show, pin, rm, verify, rebuild, explain, export, import: what was read and is kept."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.console import (
    CollectionOption,
    JsonOption,
    ModelOption,
    err,
    fail,
    library,
    out,
    print_json,
    print_table,
    progress,
)

if TYPE_CHECKING:
    from engine.store import Manifest, Store

app = typer.Typer(
    help="Keep what was read: sessions are named KV states, never evicted and checked whenever they are used.",
    no_args_is_help=True,
)
NameArgument = Annotated[str, typer.Argument(help="Name of the session.", show_default=False)]
NONE = "There is no session yet. Keep a collection with: omnibus sessions pin NAME --collection COLLECTION"


@app.command()
def ls(as_json: JsonOption = False) -> None:
    """List the sessions, and how much is kept beside them."""
    with library() as lib:
        sessions, used = lib.store.sessions(), lib.store.usage()
        if as_json:
            print_json([_summary(lib.store, m) for m in sessions])
            return
        if not sessions:
            out.print(NONE)
        else:
            header = ("session", "tokens", "size", "model", "kept as", "last used")
            print_table(header, [_row(lib.store, m) for m in sessions])
        if out.is_terminal or not sessions:
            limit = lib.settings.store_quota_gb
            out.print(f"The store holds {_size(used)} of {limit:g} GB; what no session holds goes when room is needed.")


@app.command()
def show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show what a session was made of, and under which settings."""
    with library() as lib:
        manifest = lib.store.session(name)
        if as_json:
            print_json({**_summary(lib.store, manifest), "namespace": manifest.namespace, "keys": manifest.keys})
            return
        facts = {**_summary(lib.store, manifest), **manifest.namespace}
        print_table(("what", "value"), [(key.replace("_", " "), _plain(value)) for key, value in facts.items()])


@app.command()
def pin(
    name: NameArgument,
    collection: CollectionOption = "default",
    model: ModelOption = None,
) -> None:
    """Read a whole collection, unless it is kept already, and keep it as a session."""
    with library(model) as lib:
        lib.require(collection)
        with progress() as show_progress:
            manifest, report = lib.collection(collection).pin(name, on_progress=show_progress)
        read = report.prompt_tokens - report.cached_tokens
        how = f"reading took {report.prefill_s:.1f} s" if read else "all of it was kept already"
        out.print(f"'{name}' is kept: {len(manifest.tokens):,} tokens, {_size(manifest.bytes)}; {how}.", markup=False)


@app.command()
def rm(name: NameArgument) -> None:
    """Forget a session; its states go when room is needed."""
    with library() as lib:
        size = lib.store.session(name).bytes
        lib.store.remove(name)
        out.print(f"'{name}' is forgotten. Its {_size(size)} go when room is needed.", markup=False)


@app.command()
def verify(as_json: JsonOption = False) -> None:
    """Read and check every byte that is kept; exit code 1 when something is damaged."""
    with library() as lib:
        used, started = lib.store.usage(), time.perf_counter()
        with err.status("Checking"):
            bad = lib.store.verify()
        if as_json:
            print_json(bad)
        elif bad:
            out.print("\n".join(bad), markup=False)
            out.print("What is damaged was set aside and is read again at the next question.")
        else:
            rate = used / max(time.perf_counter() - started, 1e-9)
            out.print(f"All is sound: {_size(used)} checked, {rate / 1e9:.1f} GB/s.")
        if bad:
            raise typer.Exit(1)


@app.command()
def rebuild() -> None:
    """Make the store's catalogue again from the files themselves."""
    with library() as lib:
        chunks = lib.store.rebuild()
        out.print(f"The catalogue was made again. Sessions: {len(lib.store.sessions())}, chunks: {chunks}.")


@app.command()
def explain(
    name: Annotated[str | None, typer.Argument(help="A session; without it the collection is explained.")] = None,
    collection: CollectionOption = "default",
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a session or a collection would be used as things are now, and if not, what differs."""
    with library(model) as lib:
        lib.store.session(name) if name else lib.require(collection)
        with progress() as show_progress:
            lib.load_engine(show_progress)
        if name is None:
            what, kept = f"Collection '{collection}'", lib.collection(collection).kept()
        else:
            from app.reports import Kept

            manifest = lib.store.session(name)
            found = lib.store.prefix_of(manifest, lib.engine.namespace)
            what, kept = f"Session '{name}'", Kept(len(manifest.tokens), found.tokens, found.miss_reason)
        if as_json:
            print_json(kept)
            return
        share = "all" if kept.kept == kept.tokens else f"{kept.kept:,}"
        out.print(f"{what}: {share} of {kept.tokens:,} tokens would be restored.", markup=False)
        if kept.reason:
            out.print(f"Why no more: {kept.reason}.", markup=False)


@app.command(name="export")
def export_(
    name: NameArgument, path: Annotated[Path, typer.Argument(help="The file to write.", show_default=False)]
) -> None:
    """Write a session to one file, for another machine with the same model and settings."""
    from engine.store import export_session

    with library() as lib:
        if path.exists():
            raise fail(f"'{path}' is there already. Name another file, or remove it first.")
        with err.status("Writing"):
            size = export_session(lib.store, name, path)
        out.print(f"'{path}': {_size(size)}. Take it in elsewhere with: omnibus sessions import FILE", markup=False)


@app.command(name="import")
def import_(
    path: Annotated[Path, typer.Argument(help="A file that 'omnibus sessions export' wrote.", show_default=False)],
    name: Annotated[str | None, typer.Option("--as", help="Another name for the session.")] = None,
    model: ModelOption = None,
) -> None:
    """Take in an exported session after checking every byte. Import only from people whom you trust.

    A damaged file is refused, and one of another model or other settings, but whoever made the file decides what the
    model believes to have read.
    """
    from engine.store import import_session

    with library(model) as lib:
        if not path.is_file():
            raise fail(f"There is no file '{path}'.")
        with progress() as show_progress:
            engine = lib.load_engine(show_progress)
        with err.status("Checking"):
            manifest = import_session(lib.store, path, engine.namespace, name=name)
        out.print(f"'{manifest.name}' is kept: {len(manifest.tokens):,} tokens, {_size(manifest.bytes)}.", markup=False)


def _summary(store: Store, manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "tokens": len(manifest.tokens),
        "chunks": len(manifest.keys),
        "bytes": manifest.bytes,
        "created": _time(manifest.created),
        "last_used": _time(store.last_use(manifest)),
        "pack": manifest.pack,
        "model": manifest.namespace["model"],
        "codec": manifest.namespace["codec"],
    }


def _row(store: Store, manifest: Manifest) -> tuple[str, ...]:
    s = _summary(store, manifest)
    return (s["name"], f"{s['tokens']:,}", _size(s["bytes"]), s["model"], s["codec"], s["last_used"])


def _plain(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _size(size: int) -> str:
    return (
        f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"
    )


def _time(nanoseconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(nanoseconds / 1e9)) if nanoseconds else "never"
