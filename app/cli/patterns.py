"""omnibus patterns search, show: which keys each head reads, found for a model and looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import JsonOption, ModelOption, fail, library, out, print_json, progress

if TYPE_CHECKING:
    from engine.policies.pattern_file import HeadPattern

app = typer.Typer(help="Find and look at sparse attention patterns.", no_args_is_help=True)

LETTERS = {"stream_llm": "s", "vertical_and_slash": "v", "block_sparse": "b"}
COLOURS = {"stream_llm": (86, 156, 214), "vertical_and_slash": (214, 137, 86), "block_sparse": (130, 180, 90)}
CELL = 18


@app.command()
def search(
    to: Annotated[Path, typer.Option("--out", help="The JSON file to write, in MInference's format.")],
    text: Annotated[list[Path], typer.Option("--text", help="Texts to search on; patterns depend on what is read.")],
    model: ModelOption = None,
    tokens: Annotated[int, typer.Option(min=512, help="How much of the texts to read.")] = 8192,
    recall: Annotated[float, typer.Option(min=0.5, max=0.999, help="Attention that a head must keep.")] = 0.95,
) -> None:
    """Choose each head's cheapest pattern that keeps enough attention on these texts, by measured cost."""
    from engine.events import Progress
    from engine.policies.pattern_file import write_patterns
    from engine.policies.search import search_patterns
    from ingest.decode import decode

    with library(model) as lib, progress() as show:
        engine = lib.load_engine(show)
        words = "\n".join(decode(path.read_bytes())[0] for path in text)
        ids = engine.model.encode(words)[: min(tokens, engine.model.window)]
        if len(ids) < 512:
            raise fail(f"These texts have {len(ids)} tokens; patterns show from 512 on.", 2)
        layers = len(engine.model.decoder.layers)
        found = search_patterns(
            engine.model, ids, recall=recall, on_layer=lambda i: show(Progress("prefill", i + 1, layers))
        )
        write_patterns(to, found)
        out.print(f"Wrote {to}: {layers} layers, {len(found[0])} heads, searched on {len(ids):,} tokens.", markup=False)
        out.print(f"Use it with OMNIBUS_POLICY=minference:{to}", markup=False)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A pattern file.")],
    picture: Annotated[Path | None, typer.Option("--picture", help="Also draw it as a PNG.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a pattern file as a table, a row per layer and a letter per head, and draw it."""
    from engine.policies.pattern_file import read_patterns

    with library():
        try:
            raw = json.loads(file.read_text())
            layers, heads = len(raw), max((int(name) + 1 for layer in raw for name in layer), default=0)
        except (OSError, ValueError, TypeError, AttributeError):
            layers = heads = 0  # the reader says what is wrong
        patterns = read_patterns(file, layers=layers, heads=heads)
        if picture is not None:
            draw(patterns, picture)
        if as_json:
            print_json(patterns)
            return
        for number, layer in enumerate(patterns):
            out.print(f"{number:4d}  {''.join(LETTERS[p.kind] for p in layer)}", markup=False)
        sizes: dict[str, int] = {}
        for pattern in (p for layer in patterns for p in layer):
            name = f"{LETTERS[pattern.kind]} {pattern.kind} ({pattern.a}, {pattern.b})"
            sizes[name] = sizes.get(name, 0) + 1
        for name, count in sorted(sizes.items(), key=lambda item: -item[1]):
            out.print(f"{count:5d} heads  {name}", markup=False)
        if picture is not None:
            out.print(f"Drew {picture}", markup=False)


def draw(patterns: tuple[tuple[HeadPattern, ...], ...], path: Path) -> None:
    """A PNG with a cell per layer (down) and head (across): its colour the kind, its depth the size."""
    from PIL import Image, ImageDraw

    layers, heads = len(patterns), max(map(len, patterns), default=0)
    most = max((p.a + p.b for layer in patterns for p in layer), default=1) or 1
    picture = Image.new("RGB", (CELL * (heads + 3), CELL * (layers + 4)), "white")
    pen = ImageDraw.Draw(picture)
    for y, layer in enumerate(patterns):
        pen.text((4, CELL * (y + 1) + 3), str(y), fill="black")
        for x, pattern in enumerate(layer):
            depth = 0.35 + 0.65 * (pattern.a + pattern.b) / most
            colour = tuple(round(255 - (255 - c) * depth) for c in COLOURS[pattern.kind])
            left, top = CELL * (x + 2), CELL * (y + 1)
            pen.rectangle((left, top, left + CELL - 2, top + CELL - 2), fill=colour)
    for x in range(0, heads, 4):
        pen.text((CELL * (x + 2) + 3, 3), str(x), fill="black")
    left = 4
    for kind, colour in COLOURS.items():
        pen.rectangle((left, CELL * (layers + 2), left + 10, CELL * (layers + 2) + 10), fill=colour)
        pen.text((left + 14, CELL * (layers + 2) - 1), LETTERS[kind], fill="black")
        left += 34
    picture.save(path)
