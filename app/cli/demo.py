"""omnibus demo: two corpora, three questions, and the second one over a corpus starting at once."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.ask import cited, tell
from app.cli.console import fail, library, out, progress

if TYPE_CHECKING:
    from app.library import Library

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
CODE = "json"
QUESTIONS = (
    ("samples", "Who is the warden of the hut?", "Varga"),
    ("samples", "How many solar panels does the roof carry?", "18"),
    ("code", "Which function returns an ASCII-only JSON representation of a Python string?", "encode_basestring_ascii"),
)
"""Collection, question, and what a right answer holds."""
SOONER = 5.0


def demo(
    to: Annotated[Path | None, typer.Option("--out", help="Keep what was printed as JSON in this file.")] = None,
) -> None:
    """Load the samples and Python's own json package, ask three questions, show where the answers come from."""
    with library() as mine:
        settings = mine.settings
    with tempfile.TemporaryDirectory(prefix="omnibus-demo-") as folder:
        home = Path(folder)
        (settings.home / "models").mkdir(parents=True, exist_ok=True)
        (home / "models").symlink_to(settings.home / "models")
        _run(home, to)


def _run(home: Path, to: Path | None) -> None:
    from app.library import Library
    from app.settings import Settings

    spec = importlib.util.find_spec(CODE)
    if not SAMPLES.is_dir() or spec is None or spec.origin is None:
        raise fail("The demo runs from a checkout: clone the repository and run make demo.")
    with library() as _, Library(settings=Settings(home=home)) as lib:
        for name, path in (("samples", SAMPLES), ("code", Path(spec.origin).parent)):
            report = lib.collection(name).add(path)
            out.print(f"Collection '{name}': {', '.join(d.path for d in report.loaded)}", markup=False)
        with progress() as show:
            lib.load_engine(show)
        times, wrong, rows = [], [], []
        for name, question, fact in QUESTIONS:
            asked = f"{question} (asked of '{name}')"
            out.print(f"\n{asked}", style="bold", markup=False)
            answer = tell(lib.collection(name), question)
            rows.append([asked, answer.text, *cited(answer), answer.notice, answer.stats.line])
            times.append(answer.stats.ttft_s)
            if fact not in answer.text:
                wrong.append(question)
        ratio = times[0] / times[1]
        rows.append(
            [
                f"The second question over 'samples' started after {times[1]:.2f} s, the first after {times[0]:.2f} s: "
                f"{ratio:.1f} times sooner, because its KV states came from the session store."
            ]
        )
        out.print(f"\n{rows[-1][0]}", markup=False)
        if to:
            _keep(to, lib, rows)
        if wrong:
            raise fail(f"Not answered as expected: {'; '.join(wrong)}")
        if ratio < SOONER:
            raise fail(f"The second question should start at least {SOONER:g} times sooner.")


def _keep(to: Path, lib: Library, printed: list[list[str]]) -> None:
    from engine.evaluation.evaluate import versions
    from engine.hardware import device_name, load_average

    model = lib.engine.model
    about: dict[str, Any] = {"model": model.name, "device": device_name(model.device), **versions()}
    about |= {"load": [load_average()], "command": "omnibus demo --out FILE"}
    to.write_text(json.dumps({"environment": about, "rows": printed}, indent=1) + "\n", encoding="utf-8")
