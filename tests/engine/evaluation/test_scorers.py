"""Scorers give right answers their points and wrong ones none."""

from __future__ import annotations

import pytest

from engine.evaluation.scorers import SCORERS


@pytest.mark.parametrize(
    ("scorer", "answer", "expected", "score"),
    [
        ("every", "The numbers are 12 and 345.", ("12", "345"), 1.0),
        ("every", "It is 12.", ("12", "345"), 0.5),
        ("every", "It is 3456.", ("345",), 0.0),
        ("every", "the BLUE lantern", ("blue lantern",), 1.0),
        ("any", "Perhaps Oslo.", ("Bergen", "Oslo"), 1.0),
        ("any", "Osloer", ("Bergen", "Oslo"), 0.0),
        ("first_number", "48,213 and 5", ("48213",), 1.0),
        ("first_number", "5, no: 48213", ("48213",), 0.0),
        ("first_number", "none", ("48213",), 0.0),
        ("token_f1", "the tall tower", ("a tall tower",), 1.0),
        ("token_f1", "a tall house", ("tall tower",), 0.5),
        ("token_f1", "", ("tall tower",), 0.0),
        ("last_number", "First 3, then -12.", ("-12",), 1.0),
        ("last_number", "-12, then 3", ("-12",), 0.0),
        ("character_f1", "答案是河", ("河",), 0.4),
        ("rouge_l", "the mill burnt down", ("the old mill burnt",), 2 / 3),
        ("rouge_l", "", ("mill",), 0.0),
        ("named_class", "a Place or a Person", ("Place", "Person"), 0.5),
        ("named_class", "Person", ("Place", "Person"), 0.0),
        ("code_line", "# next\nreturn x + 1", ("return x + 1",), 1.0),
        ("code_line", "```\n", ("return x + 1",), 0.0),
        ("choice", "The answer is B.", ("B",), 1.0),
        ("choice", "A or B", ("B",), 0.0),
    ],
)
def test_right_answers_score_and_wrong_ones_do_not(
    scorer: str, answer: str, expected: tuple[str, ...], score: float
) -> None:
    assert SCORERS[scorer](answer, expected) == pytest.approx(score)
