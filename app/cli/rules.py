"""omnibus pin, exclude, snapshots: what a plan is told, and what answers were made from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import CollectionOption, JsonOption, library, print_json, print_table

if TYPE_CHECKING:
    from app.planning.rules import Effect

app = typer.Typer(help="What answers were made from, to be had again.", no_args_is_help=True)
Patterns = Annotated[
    list[str] | None,
    typer.Argument(help="Patterns as in .gitignore, for paths as `omnibus ls` shows them.", show_default=False),
]
Undo = Annotated[bool, typer.Option("--undo", help="Drop the rules of these patterns.")]


def pin(
    patterns: Patterns = None, collection: CollectionOption = "default", undo: Undo = False, as_json: JsonOption = False
) -> None:
    """Have documents read whole before all others; without a pattern, list the rules."""
    _rule("pin", patterns or [], collection, undo, as_json)


def exclude(
    patterns: Patterns = None, collection: CollectionOption = "default", undo: Undo = False, as_json: JsonOption = False
) -> None:
    """Keep documents out of every prompt, though in the collection; without a pattern, list the rules."""
    _rule("exclude", patterns or [], collection, undo, as_json)


def _rule(effect: Effect, patterns: list[str], name: str, undo: bool, as_json: bool) -> None:
    with library() as lib:
        lib.require(name)
        collection = lib.collection(name)
        change = {"pin": collection.pin_documents, "exclude": collection.exclude_documents}[effect]
        if patterns:
            (collection.drop_rules if undo else change)(*patterns)
        rules = collection.rules()
        if as_json:
            print_json(rules)
            return
        matched = collection.rules_of(d.path for d in collection.documents())
        hits = [*matched.pinned.values(), *matched.excluded.values()]
        print_table(("rule", "pattern", "documents"), [(r.effect, r.pattern, str(hits.count(r))) for r in rules])


@app.command()
def ls(collection: CollectionOption = "default", as_json: JsonOption = False) -> None:
    """List what answers were made from, newest first."""
    with library() as lib:
        lib.require(collection)
        found = lib.collection(collection).snapshots()
        if as_json:
            print_json(found)
        else:
            rows = [(s.hash, s.mode, str(s.documents), f"{s.created:%Y-%m-%d %H:%M}") for s in found]
            print_table(("snapshot", "mode", "excerpts", "made"), rows)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The snapshot's hash.")],
    collection: CollectionOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Print what was read, to the byte as it was then; with --json which parts of which documents."""
    with library() as lib:
        snapshot = lib.collection(collection).snapshot(name)
        if not as_json:
            sys.stdout.buffer.write(snapshot.text.encode())
            return
        parts = [
            {
                "path": e.document.path,
                "char_start": e.start,
                "char_end": e.end,
                "pieces": e.pieces,
                "same_as": e.same_as,
            }
            for e in snapshot.excerpts
        ]
        named = {"hash": snapshot.hash, "mode": snapshot.mode, "created": snapshot.created, "digest": snapshot.digest}
        print_json({**named, "parts": parts, "listed": snapshot.listed})
