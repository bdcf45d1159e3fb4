"""omnibus add, ls, rm, plan, warm: what is in a collection, and what reading it takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

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
    from ingest import Duplicate


def add(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.", show_default=False)],
    collection: CollectionOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Read files and folders into a collection. Each file gets a verdict; nothing is lost silently.

    Stopped or killed, the same command goes on where it was.
    """
    from app.cli.jobs import line

    with library() as lib:
        with err.status("Looking at the files") as status:
            report = lib.collection(collection).add(*paths, on_progress=lambda job: status.update(Text(line(job))))
        if as_json:
            print_json({"collection": collection, "loaded": report.loaded, "skipped": report.skipped})
            return
        out.print(f"{len(report.loaded)} documents in collection '{collection}'.", markup=False)
        for info in report.loaded:
            if info.reason:
                out.print(f"  {info.path}: {info.reason}", markup=False)
        for info in report.skipped:
            out.print(f"  skipped {info.path}: {info.reason}", markup=False)


def ls(
    collection: Annotated[str | None, typer.Argument(help="Show one collection's documents.")] = None,
    problems: Annotated[
        bool, typer.Option("--problems", help="Only what was skipped or is doubtful, and why.")
    ] = False,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Documents with the text, or nearly the text, of an earlier one.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List collections, or the documents of one, skipped files and reasons included."""
    with library() as lib:
        if collection is None and (problems or duplicates):
            raise fail("Name the collection to look into, for example: omnibus ls NAME --problems", 2)
        if collection is None:
            infos = lib.collections()
            if as_json:
                print_json(infos)
            elif not infos:
                out.print("There is no collection yet. Add documents with: omnibus add PATH")
            else:
                rows = [(i.name, str(i.documents), f"{i.created:%Y-%m-%d %H:%M}") for i in infos]
                print_table(("collection", "documents", "created"), rows)
            return
        lib.require(collection)
        if duplicates:
            _duplicates(lib.collection(collection).duplicates(), as_json)
            return
        documents = [d for d in lib.collection(collection).documents() if d.reason or not problems]
        if as_json:
            print_json(documents)
            return
        print_table(
            ("document", "kind", "characters", "pages", "verdict"),
            [(d.path, d.kind, f"{d.characters:,}", str(d.pages or ""), d.reason or d.status) for d in documents],
        )


def _duplicates(found: list[Duplicate], as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        print_table(("document", "repeats", "alike"), [(d.path, d.of, f"{d.similarity:.0%}") for d in found])


def rm(
    path: Annotated[str | None, typer.Argument(help="A document's path; without it the collection named.")] = None,
    collection: Annotated[str | None, typer.Option("--collection", "-c", help="Name of the collection.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Take a document out of a collection, or forget the collection (then it must be named)."""
    if path is None and collection is None:
        raise fail("Name a document, or with --collection the collection to forget.", 2)
    name = collection or "default"
    with library() as lib:
        lib.require(name)
        if path is None:
            lib.delete_collection(name)
            told = f"Collection '{name}' forgotten."
        else:
            lib.collection(name).remove(path)
            told = f"'{path}' taken out of '{name}'."
    if as_json:
        print_json({"collection": name, "removed": path})
    else:
        out.print(told, markup=False)


def plan(
    collection: CollectionOption = "default",
    mode: Annotated[str, typer.Option(help="auto, whole or packed.")] = "auto",
    tree: Annotated[bool, typer.Option("--tree", help="Folders with the tokens below them.")] = False,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a question would read: tokens, mode and why, what is cached, seconds and bytes."""
    from app.cli.ask import mode_choice
    from app.planning.planner import branches

    with library(model) as lib:
        with progress() as show:
            lib.load_engine(show)
        made = lib.collection(collection).plan(mode=mode_choice(mode))
        below = branches(made.documents) if tree else []
        if as_json:
            print_json(below if tree else made)
            return
        if tree:
            print_table(
                ("folder", "tokens", "share", "takes now", "documents"),
                [
                    (
                        b.path or ".",
                        f"{b.tokens:,}",
                        f"{b.tokens / max(below[0].tokens, 1):.1%}",
                        f"{b.prompt_tokens:,}",
                        str(b.documents),
                    )
                    for b in below
                ],
            )
        else:
            rows = [
                (
                    d.path,
                    f"{d.tokens:,}",
                    d.included,
                    f"{d.prompt_tokens:,}",
                    "" if d.prefill_seconds is None else f"{d.prefill_seconds:.2f}",
                    f"{d.kv_bytes / 1e6:,.1f}",
                    d.why,
                )
                for d in made.documents
            ]
            print_table(("document", "tokens", "goes in", "takes now", "s if whole", "KV MB if whole", "why"), rows)
        out.print(f"Mode {made.mode}: {made.reason}", markup=False)
        of_tree = f" and {made.tree_tokens:,} of their tree" if made.tree_tokens else ""
        seconds = "not measured yet" if made.prefill_seconds is None else f"about {made.prefill_seconds:.1f} s"
        out.print(
            f"{made.corpus_tokens:,} tokens{of_tree}, window {made.window:,}, "
            f"answers well up to {made.effective_window:,}; "
            f"{made.cached_tokens:,} in the session store; reading the rest: {seconds}; "
            f"KV {made.kv_bytes / 1e6:,.0f} MB",
            markup=False,
        )
        out.print(f"Memory: {made.memory}.", markup=False)
        if made.snapshot:
            out.print(f"Snapshot: {made.snapshot}", markup=False)


def warm(collection: CollectionOption = "default", model: ModelOption = None, as_json: JsonOption = False) -> None:
    """Read a collection now, so that the next question starts at once."""
    with library(model) as lib:
        with progress() as show:
            report = lib.collection(collection).warm(on_progress=show)
        if as_json:
            print_json(report)
        else:
            out.print(
                f"Ready: {report.prompt_tokens:,} tokens, {report.cached_tokens:,} were kept already, "
                f"the rest took {report.prefill_s:.2f} s.",
                markup=False,
            )
