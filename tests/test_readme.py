"""The README's tables are those of data/results, and a figure that changed on one side only is found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.benchmarks.readme import rendered
from tests.benchmarks.readme_tables import TABLES
from tests.benchmarks.results import Results

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "data" / "results"
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")


def test_tables_are_made_from_the_results() -> None:
    assert rendered(PAGE, RESULTS) == PAGE, "run `python -m tests.benchmarks.readme`"


@pytest.mark.parametrize(
    ("right", "wrong"), [("| cuDNN 579 |", "| cuDNN 479 |"), ("times sooner than MInference", "times later than it")]
)
def test_a_figure_changed_by_hand_is_found(right: str, wrong: str) -> None:
    changed = PAGE.replace(right, wrong)
    assert changed != PAGE
    assert rendered(changed, RESULTS) == PAGE


@pytest.mark.parametrize("file", ["cpu_engine", "fidelity_32k"])
def test_new_results_make_another_page(tmp_path: Path, file: str) -> None:
    shutil.copytree(RESULTS, tmp_path, dirs_exist_ok=True)
    place = tmp_path / f"{file}.json"
    found = json.loads(place.read_text())
    for row in found["rows"]:
        for key, value in row.items():
            if isinstance(value, float):
                row[key] = value * 0.9
    place.write_text(json.dumps(found))
    assert rendered(PAGE, tmp_path) != PAGE


def test_a_table_without_its_mark_and_results_without_their_row_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no mark for perplexity"):
        rendered(PAGE.replace("<!-- table perplexity -->", ""), RESULTS)
    (tmp_path / "cpu_engine.json").write_text('{"rows": []}')
    with pytest.raises(KeyError, match="no row with"):
        TABLES["cpu_engine"](Results(tmp_path))
