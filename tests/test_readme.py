"""What the pages claim holds: figures are those of data/results, commands exist, links lead somewhere."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer.main

from app.cli import app
from app.settings import Settings
from tests.benchmarks.readme import MARK, PAGES, rendered, unused
from tests.benchmarks.readme_tables import TABLES
from tests.benchmarks.results import Results

ROOT = Path(__file__).parents[1]
RESULTS = Results(ROOT / "data" / "results")
TOLD = ("README.md", "app/README.md", "engine/README.md", "ui/README.md", "data/README.md", "data/results/README.md")
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in dict.fromkeys((*TOLD, *PAGES))}
CODE = re.compile(r"^```.*?^```$|`[^`]*`", re.DOTALL | re.MULTILINE)
FIGURE = re.compile(
    r"(?<![\w-])\d[\d.,]*(?:\s?(?:%|(?:ms|s|seconds?|minutes?|tokens?|times|questions?|[KMGT]i?B|[TG]FLOP)\b)|[KM]\b)"
)
COMMAND = re.compile(r"^\$ omnibus (.*?)(?:  +#.*)?$|`omnibus ((?!…)[a-z][^`]*)`", re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_tables_and_figures_are_made_from_the_results(name: str) -> None:
    assert rendered(TEXTS[name], RESULTS) == TEXTS[name], "run `python -m tests.benchmarks.readme`"


def test_every_table_and_figure_that_can_be_made_stands_somewhere() -> None:
    assert unused(TEXTS[name] for name in PAGES) == []
    without = TEXTS["data/results/README.md"].replace("<!-- table perplexity -->", "")
    assert unused([TEXTS["README.md"], TEXTS["app/README.md"], without]) == ["perplexity"]


@pytest.mark.parametrize("name", TOLD)
def test_no_figure_stands_outside_a_mark(name: str) -> None:
    assert FIGURE.findall(CODE.sub("", MARK.sub("", TEXTS[name]))) == []


@pytest.mark.parametrize(
    "said", ["98 % agree", "in 0.19 s", "7,744 tokens", "38 questions", "at 16K", "2.1 times", "6 MB"]
)
def test_a_figure_written_by_hand_is_found(said: str) -> None:
    assert FIGURE.search(CODE.sub("", said))


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("data/results/README.md", "| cuDNN 579 |", "| cuDNN 479 |"),
        ("data/results/README.md", "times sooner than MInference", "times later than it"),
        ("data/results/README.md", "commit ec8327f", "commit 0000000"),
        ("README.md", "Ilse Varga", "Ilse Vargas"),
    ],
)
def test_a_figure_changed_by_hand_is_found(name: str, right: str, wrong: str) -> None:
    changed = TEXTS[name].replace(right, wrong)
    assert changed != TEXTS[name]
    assert rendered(changed, RESULTS) == TEXTS[name]


@pytest.mark.parametrize("file", ["cpu_engine", "fidelity_32k"])
def test_new_results_make_another_page(tmp_path: Path, file: str) -> None:
    shutil.copytree(RESULTS.folder, tmp_path, dirs_exist_ok=True)
    place = tmp_path / f"{file}.json"
    found = json.loads(place.read_text())
    for row in found["rows"]:
        for key, value in row.items():
            if isinstance(value, float):
                row[key] = value * 0.9
    place.write_text(json.dumps(found))
    page = TEXTS["data/results/README.md"]
    assert rendered(page, Results(tmp_path)) != page


def test_results_without_their_row_and_marks_of_nothing_are_told(tmp_path: Path) -> None:
    (tmp_path / "cpu_engine.json").write_text('{"rows": []}')
    with pytest.raises(KeyError, match="no row with"):
        TABLES["cpu_engine"](Results(tmp_path))
    with pytest.raises(KeyError, match="guessed"):
        rendered("<!-- figure guessed -->98 %<!-- /figure -->", RESULTS)


@pytest.mark.parametrize("name", TOLD)
def test_links_and_modules_that_are_named_exist(name: str) -> None:
    for place in re.findall(r"\]\((?!http)([^)#]+)\)", TEXTS[name]):
        assert (ROOT / name).parent.joinpath(place).exists(), place
    for module in re.findall(r"python\s-m\s([\w.]+)", TEXTS[name]):
        assert importlib.util.find_spec(module), module


@pytest.mark.parametrize("name", TOLD)
def test_settings_that_are_named_exist(name: str) -> None:
    known = {f"OMNIBUS_{field}".upper() for field in Settings.model_fields}
    assert set(re.findall(r"OMNIBUS_[A-Z_]+", TEXTS[name])) <= known


@pytest.mark.parametrize("line", sorted({a or b for text in TEXTS.values() for a, b in COMMAND.findall(text)}))
def test_a_command_that_is_named_exists_with_its_options(line: str) -> None:
    command = typer.main.get_command(app)
    words = shlex.split(line)
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    assert command.name != "omnibus", line
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known
