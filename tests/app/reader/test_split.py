"""Training shares no wording, name, module or paragraph with the evaluation."""

from __future__ import annotations

import re
from random import Random

from app.reader import sources, templates
from app.reader.judge import CLOZE
from app.reader.retention import INSTRUCTIONS
from app.reader.spoken import examined
from app.reader.tasks import slots
from engine.evaluation import templates as held
from engine.evaluation import texts
from engine.evaluation.suites.facts import people, places


def strings(module: object) -> set[str]:
    """Every text of a module of templates, without the places where something is put in."""
    found: set[str] = set()

    def look(value: object) -> None:
        if isinstance(value, str):
            found.update(
                re.sub(r"{\w+}", "", part.rpartition("=")[0] or part).strip(" .?") for part in value.split("|")
            )
        elif isinstance(value, tuple | list):
            for item in value:
                look(item)

    for name, value in vars(module).items():
        if name.isupper():
            look(value)
    return {text for text in found if len(text.split()) >= 3}


def test_no_wording_of_the_evaluation_is_trained_on() -> None:
    ours, theirs = strings(templates), strings(held) | {re.sub(r"{\w+}", "", c).strip(" .?") for c in CLOZE}
    assert len(ours) > 100
    assert len(theirs) > 50
    assert not ours & theirs


def test_no_person_or_place_of_the_evaluation_is_trained_on() -> None:
    assert not {*templates.FIRST} & {*held.FIRST_NAMES}
    assert not {*templates.LAST} & {*held.LAST_NAMES}
    random = Random(1)
    said = [slots(random) for _ in range(3000)]
    assert not {s["place"] for s in said} & {*places(random, 300)}
    assert not {s["person"] for s in said} & {*people(random, 300)}


def test_held_out_manuals_and_modules_are_no_training_sources() -> None:
    assert not {p.name for p in sources.PACKAGES} & {p.name for p in sources.HELD_OUT}
    names = {source.path.removesuffix(".py") for source in sources.modules()}
    assert len(names) > 100
    assert not names & {*texts.MODULES}


def test_paragraphs_of_the_evaluation_are_left_out_of_a_manual() -> None:
    known = texts.paragraphs()[3]
    wrapped = known.replace(" ", "\n", 3)
    kept = sources.unheld(f"Something of its own stands here.\n\n{wrapped}\n\nAnd this stands behind it.")
    assert kept == "Something of its own stands here.\n\nAnd this stands behind it."


def test_no_instruction_that_judges_what_was_lost_is_trained_on() -> None:
    assert all(examined(f"Please: {asked.upper()}  Thank you!") for asked, _ in INSTRUCTIONS)
    assert not examined("What do horses eat?")
