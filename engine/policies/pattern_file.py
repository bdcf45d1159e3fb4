"""Pattern files: what each head attends to, in MInference's JSON format, or inside a model's configuration.

An array with one object per layer; its keys are query heads as decimal strings, its values [type, a, b, score]:
vertical_and_slash (columns, diagonals), stream_llm (first tokens, local tokens) or block_sparse (both unused). The
score, a recall or a count of errors, says how the choice was made and is not read back. A head that is missing is
vertical_and_slash with 1000 columns and 6096 diagonals.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from engine.errors import PatternFileError

Kind = Literal["vertical_and_slash", "stream_llm", "block_sparse"]
KINDS = get_args(Kind)


@dataclass(frozen=True, slots=True)
class HeadPattern:
    """One head: `a` and `b` are columns and diagonals, or first and local tokens."""

    kind: Kind = "vertical_and_slash"
    a: int = 1000
    b: int = 6096
    score: float | int = 1


Patterns = tuple[tuple[HeadPattern, ...], ...]


def read_patterns(path: Path, *, layers: int, heads: int) -> Patterns:
    """The file's patterns [layers][heads]; PatternFileError names the file and the first entry that is wrong."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PatternFileError(str(path), "the file", f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise PatternFileError(str(path), "the file", f"is not JSON: {error}") from error
    return parse_patterns(found, layers=layers, heads=heads, source=str(path))


def parse_patterns(found: Any, *, layers: int, heads: int, source: str) -> Patterns:
    """As read_patterns, from decoded JSON (a model config's `sparse_attention_config`)."""
    if not isinstance(found, list):
        raise PatternFileError(source, "the file", f"holds a {type(found).__name__}, not an array of layers")
    if len(found) != layers:
        raise PatternFileError(source, "the file", f"has {len(found)} layers, the model has {layers}")
    return tuple(_layer(entry, number, heads, source) for number, entry in enumerate(found))


def write_patterns(path: Path, patterns: Sequence[Sequence[HeadPattern]]) -> None:
    """Write the format that read_patterns, MInference and SGLang read."""
    layers = [{str(h): [p.kind, p.a, p.b, p.score] for h, p in enumerate(layer)} for layer in patterns]
    lines = ",\n".join(json.dumps(layer) for layer in layers)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _layer(entry: Any, number: int, heads: int, source: str) -> tuple[HeadPattern, ...]:
    if not isinstance(entry, dict):
        raise PatternFileError(source, f"layer {number}", f"is a {type(entry).__name__}, not an object of heads")
    for name in entry:
        if not name.isdecimal() or int(name) >= heads:
            raise PatternFileError(source, f"layer {number}, head {name!r}", f"is none of the model's {heads} heads")
    return tuple(
        _head(entry[str(head)], f"layer {number}, head {head}", source) if str(head) in entry else HeadPattern()
        for head in range(heads)
    )


def _head(value: Any, where: str, source: str) -> HeadPattern:
    if not isinstance(value, list) or len(value) != 4:
        raise PatternFileError(source, where, "is not [type, size, size, score]")
    kind, a, b, score = value
    if kind not in KINDS:
        raise PatternFileError(source, where, f"has the unknown type {kind!r}; known are {', '.join(KINDS)}")
    for size in (a, b):
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise PatternFileError(source, where, f"has the size {size!r}, which is no number of tokens")
    if isinstance(score, bool) or not isinstance(score, (int, float)):
        raise PatternFileError(source, where, f"has the score {score!r}, which is no number")
    return HeadPattern(kind, a, b, score)
