"""The README's tables and the figures in its sentences, made from data/results.

    python -m tests.benchmarks.readme [--check]

A table stands in the README between `<!-- table NAME -->` and `<!-- /table -->`, words with figures in them between
`<!-- figure NAME -->` and `<!-- /figure -->`. Without --check both are written anew; with it nothing is written, and
the exit code is 1 where README and results differ. CI runs the check as a test.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from pathlib import Path

from tests.benchmarks.readme_figures import FIGURES
from tests.benchmarks.readme_tables import TABLES
from tests.benchmarks.results import Results

ROOT = Path(__file__).parents[2]
MARKED = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- /table -->)", re.DOTALL)
SAID = re.compile(r"(<!-- figure (\S+) -->).*?(<!-- /figure -->)", re.DOTALL)


def main() -> int:
    """Write or check; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    options = parser.parse_args()
    place = ROOT / "README.md"
    before = place.read_text(encoding="utf-8")
    after = rendered(before, ROOT / "data" / "results")
    if options.check:
        lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
        sys.stdout.writelines(difflib.unified_diff(*lines, "README.md", "data/results"))
        return int(before != after)
    place.write_text(after, encoding="utf-8")
    return 0


def rendered(page: str, folder: Path) -> str:
    """The page with every marked table and figure made from the results in the folder.

    Raises KeyError where a mark names neither or results lack a figure, and ValueError where one has no mark.
    """
    for marks, made in ((MARKED, TABLES), (SAID, FIGURES)):
        if missing := sorted(set(made) - {found.group(2) for found in marks.finditer(page)}):
            raise ValueError(f"README.md has no mark for {', '.join(missing)}.")
    results = Results(folder)
    page = SAID.sub(lambda found: f"{found.group(1)}{FIGURES[found.group(2)](results)}{found.group(3)}", page)
    return MARKED.sub(lambda found: f"{found.group(1)}{table(found.group(2), folder)}\n{found.group(3)}", page)


def table(name: str, folder: Path) -> str:
    """One table as Markdown."""
    heads, *rows = TABLES[name](Results(folder))
    lines = [_line(cells) for cells in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


def _line(cells: list[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


if __name__ == "__main__":
    sys.exit(main())
