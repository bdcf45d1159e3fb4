"""The pages' tables, the figures in their sentences and what each was measured on, made from data/results.

    python -m tests.benchmarks.readme [--check]

A table stands in a page between `<!-- table NAME -->` and `<!-- /table -->`, words with figures in them between
`<!-- figure NAME -->` and `<!-- /figure -->`, and the device, versions and command of a results file between
`<!-- source FILE -->` (of one of its parts `FILE#PART`) and `<!-- /source -->`. Without --check all are written anew;
with it nothing is written, and the exit code is 1 where pages and results differ. CI runs the check as a test.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from engine.bench.rivals import PACKAGES
from tests.benchmarks.readme_figures import FIGURES
from tests.benchmarks.readme_tables import TABLES
from tests.benchmarks.results import Results

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "app/README.md", "data/results/README.md", "data/models/reader/README.md")
MARK = re.compile(r"(<!-- (table|figure|source) (.+?) -->).*?(<!-- /\2 -->)", re.DOTALL)


def main() -> int:
    """Write or check; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    options = parser.parse_args()
    results = Results(ROOT / "data" / "results")
    pages = {name: (ROOT / name).read_text(encoding="utf-8") for name in PAGES}
    if missing := unused(pages.values()):
        sys.exit(f"No page has a mark for {', '.join(missing)}.")
    differs = False
    for name, before in pages.items():
        after = rendered(before, results)
        differs |= before != after
        if options.check:
            lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
            sys.stdout.writelines(difflib.unified_diff(*lines, name, "data/results"))
        else:
            (ROOT / name).write_text(after, encoding="utf-8")
    return int(options.check and differs)


def rendered(page: str, results: Results) -> str:
    """The page with what is marked made anew; raises KeyError where a name or a figure is nowhere."""
    return MARK.sub(lambda found: f"{found[1]}{MADE[found[2]](found[3], results)}{found[4]}", page)


def unused(pages: Iterable[str]) -> list[str]:
    """Tables and figures that can be made and stand on no page."""
    used = {found[3] for page in pages for found in MARK.finditer(page) if found[2] != "source"}
    return sorted({*TABLES, *FIGURES} - used)


def table(name: str, results: Results) -> str:
    """One table as Markdown, on lines of its own."""
    heads, *rows = TABLES[name](results)
    lines = [_line(cells) for cells in (heads, *rows)]
    return "\n".join(["", lines[0], "|---" * len(heads) + "|", *lines[1:], ""])


def source(name: str, results: Results) -> str:
    """Device, versions, commit, load and command of a results file or a part of it, as a sentence."""
    said = results.about(*name.split("#"))
    known = [str(said[key]) for key in ("device", "model", "dtype") if key in said]
    known += [f"{key} {said[key]}" for key in ("torch", "triton", "transformers", *PACKAGES) if key in said]
    known += [f"commit {str(said['commit'])[:7]}"] if "commit" in said else []
    loads = said.get("load")
    known += [f"load {', '.join(f'{load:.0f}' for load in loads)}"] if isinstance(loads, list) else []
    commands = said.get("commands") or [said["command"]]
    file = name.split("#")[0]
    return f"[`{file}.json`]({file}.json): {', '.join(known)}; {' and '.join(f'`{c}`' for c in commands)}"


def _line(cells: list[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


MADE: dict[str, Callable[[str, Results], str]] = {
    "table": table,
    "figure": lambda name, results: FIGURES[name](results),
    "source": source,
}

if __name__ == "__main__":
    sys.exit(main())
