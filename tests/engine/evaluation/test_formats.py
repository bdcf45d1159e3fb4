"""Files in the schemas of four public benchmarks are asked and scored; what is not in its format is told by line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import engine
import engine.store
from engine.evaluation.errors import BadSample, EmptyFile, NoStoreHere, UnknownFormat
from engine.evaluation.evaluate import Plan, bare_frame, evaluate_file
from engine.evaluation.formats import load
from engine.evaluation.runner import prompt_of
from engine.evaluation.scorers import SCORERS
from engine.evaluation.variant import variant_by_name
from engine.models.model import LanguageModel

STORY = "The mill at Tarn was built in 1711. Its miller is Odo Brant. The river Wend drives the wheel."
OPTIONS = ["a mill", "a church", "a ferry", "a school"]
FILES: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "ruler": (
        "ruler",
        "niah_multivalue/validation.jsonl",
        [
            {
                "index": 0,
                "input": f"A text follows.\n{STORY}\nWhich two names does the text tell?",
                "outputs": ["Odo Brant", "Tarn"],
                "length": 60,
                "answer_prefix": "The names are",
            }
        ],
    ),
    "infinitebench choice": (
        "infinitebench",
        "longbook_choice_eng.jsonl",
        [{"id": 0, "context": STORY, "input": "What stands at Tarn?", "answer": ["a mill"], "options": OPTIONS}],
    ),
    "infinitebench number": (
        "infinitebench",
        "passkey.jsonl",
        [{"id": 0, "context": STORY, "input": "In which year was it built?", "answer": ["1711"], "options": []}],
    ),
    "longbench": (
        "longbench",
        "hotpotqa.jsonl",
        [
            {
                "input": "Who is the miller at Tarn?", "context": STORY, "answers": ["Odo Brant", "Brant"], "length": 9,
                "dataset": "hotpotqa", "language": "en", "all_classes": None, "_id": "x",
            }
        ],
    ),
    "longbench classes": (
        "longbench",
        "trec.jsonl",
        [
            {
                "input": "Question: Who?\nType:", "context": "Question: Where?\nType: Place", "answers": ["Person"],
                "length": 9, "dataset": "trec", "language": "en", "all_classes": ["Place", "Person"], "_id": "y",
            }
        ],
    ),
    "scbench": (
        "scbench",
        "scbench_qa_eng.jsonl",
        [
            {
                "id": 0,
                "context": STORY,
                "multi_turns": [
                    {"input": "Who is the miller?", "answer": ["Odo Brant"]},
                    {"input": "Which river drives the wheel?", "answer": "Wend"},
                ],
            }
        ],
    ),
    "scbench numbers": (
        "scbench",
        "scbench_mf.jsonl",
        [{"id": 0, "context": [4, 9, 1], "multi_turns": [{"input": "The largest number is", "answer": 9}]}],
    ),
}  # fmt: skip


def written(folder: Path, name: str) -> tuple[Path, str]:
    form, file, lines = FILES[name]
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n", encoding="utf-8")
    return path, form


@pytest.mark.parametrize("name", FILES)
def test_right_answers_get_their_points_and_wrong_ones_none(tmp_path: Path, name: str) -> None:
    (task,) = load(*written(tmp_path, name))
    for question in task.questions:
        every = question.expected if question.scorer == "every" else question.expected[:1]
        assert SCORERS[question.scorer](", ".join(every), question.expected) == 1.0
        assert SCORERS[question.scorer]("nothing of the kind", question.expected) == 0.0


def test_samples_keep_their_prompts_options_and_turns(tmp_path: Path) -> None:
    (ruler,) = load(*written(tmp_path, "ruler"))
    asked = FILES["ruler"][2][0]["input"]
    assert f"{ruler.corpus}\n{ruler.questions[0].text}" == asked
    assert (ruler.suite, ruler.questions[0].lead) == ("ruler:niah_multivalue", "The names are")
    (choice,) = load(*written(tmp_path, "infinitebench choice"))
    assert choice.questions[0].expected == ("A",)
    assert "\nB. a church" in choice.questions[0].text
    (turns,) = load(*written(tmp_path, "scbench"))
    assert turns.questions[1].history == (("Who is the miller?", "Odo Brant"),)
    (classes,) = load(*written(tmp_path, "longbench classes"))
    assert SCORERS["named_class"]("Person or Place", classes.questions[0].expected) == 0.5
    (numbers,) = load(*written(tmp_path, "scbench numbers"))
    assert numbers.corpus == "[4, 9, 1]"


@pytest.mark.parametrize(
    ("form", "line", "said"),
    [
        ("ruler", '{"input": "x"}', r"a\.jsonl, line 2: the field 'outputs' is missing"),
        ("longbench", '{"context": "x", "answers": ["y"], "dataset": "poems"}', "the task 'poems' is none of"),
        ("scbench", "{", "line 2: it is not as scbench has it"),
        ("ruler", '{"input": "x", "outputs": []}', "an answer is empty"),
    ],
)
def test_a_line_that_is_not_in_the_format_is_told(tmp_path: Path, form: str, line: str, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"\n{line}\n")
    with pytest.raises(BadSample, match=said):
        load(path, form)


def test_an_empty_file_and_an_unknown_format_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n")
    with pytest.raises(EmptyFile, match="no sample"):
        load(path, "ruler")
    with pytest.raises(UnknownFormat, match="known are ruler, infinitebench"):
        load(path, "squad")


def test_a_file_is_run_and_what_is_too_long_is_left_out_not_cut(
    default_language_model: LanguageModel, tmp_path: Path
) -> None:
    model = default_language_model
    path, form = written(tmp_path, "scbench")
    sample = json.loads(path.read_text())
    path.write_text("\n".join(json.dumps({**sample, "context": STORY * n}) for n in (1, 40)))
    plan = Plan(("file",), (), ("dense", "dense@fp8"))
    result = evaluate_file(model, path, form, plan, tmp_path / "out", longest=400)
    assert (result.about["samples"], result.about["longer than asked, left out"]) == (2, 1)
    assert {row.variant for row in result.rows} == {"dense", "dense@fp8"}
    (dense,) = [r for r in result.rows if (r.suite, r.variant) == ("scbench:scbench_qa_eng", "dense")]
    assert (dense.questions, dense.length, dense.factor) == (2, 128, 1.0)
    assert dense.score is not None
    assert dense.score >= 0.5  # three sentences: even the default model finds what it is asked
    with pytest.raises(EmptyFile, match="give a larger --longest"):
        evaluate_file(model, path, form, plan, tmp_path / "none", longest=50)
    (task,) = load(*written(tmp_path, "ruler"))
    prompt = prompt_of(model, task, bare_frame(model))
    text = model.decode([*prompt.prefix, *prompt.suffixes[0]])
    assert FILES["ruler"][2][0]["input"] in text
    assert text.endswith("The names are")


def test_a_restored_variant_without_the_stores_packages_is_told(
    default_language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "store", engine.store)  # what is imported anew takes its place only here
    for name in [name for name in sys.modules if name.startswith("engine.store")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "xxhash", None)
    with pytest.raises(NoStoreHere, match="'dense@fp8' needs the session store, and this Python lacks xxhash"):
        variant_by_name("dense@fp8", default_language_model)
