"""Formats: tasks from files that a person has of RULER, InfiniteBench, LongBench or SCBench, one JSON object a line.

RULER's prompts and SCBench's turns are asked as they stand. LongBench and InfiniteBench keep no prompts in their data:
these are asked in words of our own, so their scores compare ways of reading on one model, not with published tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.evaluation.errors import BadSample, EmptyFile, UnknownFormat
from engine.evaluation.scorers import LETTERS
from engine.evaluation.task import Question, Task, Turn

Line = dict[str, Any]
NUMBER, SHORT, SUMMARY, LETTER, CLASS, CODE = (
    "Answer the question with a number only: ",
    "Answer in as few words as you can: ",
    "Summarise the text above.",
    "Which option is right? Answer with its letter only.",
    "Continue the examples above with the answer only: ",
    "Write only the next line of the code above.",
)
ROOM = {"rouge_l": 256, "every": 96, "code_line": 64}
"""Tokens of an answer, by scorer; others get USUAL."""
USUAL = 40

INFINITEBENCH = {
    "passkey": ("first_number", SHORT),
    "number_string": ("first_number", SHORT),
    "kv_retrieval": ("any", SHORT),
    "longbook_qa_eng": ("token_f1", SHORT),
    "longbook_qa_chn": ("character_f1", SHORT),
    "longbook_sum_eng": ("rouge_l", SUMMARY),
    "longbook_choice_eng": ("choice", LETTER),
    "longdialogue_qa_eng": ("any", SHORT),
    "code_debug": ("choice", LETTER),
    "code_run": ("last_number", NUMBER),
    "math_find": ("first_number", NUMBER),
}
LONGBENCH = {
    **dict.fromkeys(
        ["narrativeqa", "qasper", "multifieldqa_en", "hotpotqa", "2wikimqa", "musique", "triviaqa"],
        ("token_f1", SHORT),
    ),
    "multifieldqa_zh": ("character_f1", SHORT),
    **dict.fromkeys(["gov_report", "qmsum", "multi_news", "samsum"], ("rouge_l", SUMMARY)),
    **dict.fromkeys(["dureader", "vcsum"], ("character_f1", SUMMARY)),
    **dict.fromkeys(["trec", "lsht"], ("named_class", CLASS)),
    **dict.fromkeys(["passage_count", "passage_retrieval_en", "passage_retrieval_zh"], ("first_number", NUMBER)),
    **dict.fromkeys(["lcc", "repobench-p"], ("code_line", CODE)),
}
SCBENCH = {
    **dict.fromkeys(["scbench_kv", "scbench_kv_hard", "scbench_hashhop", "scbench_prefix_suffix"], "any"),
    "scbench_kv_compressible": "any",
    "scbench_many_shot": "any",
    "scbench_qa_eng": "any",
    "scbench_qa_chn": "character_f1",
    "scbench_choice_eng": "choice",
    "scbench_mf": "first_number",
    "scbench_passkey": "first_number",
    "scbench_summary": "rouge_l",
    "scbench_vt": "every",
}


def load(path: Path, form: str) -> list[Task]:
    """The tasks of a file; raises UnknownFormat, EmptyFile, BadSample (with the line), OSError."""
    if form not in FORMATS:
        raise UnknownFormat(form, list(FORMATS))
    tasks = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if text.strip():
            try:
                tasks.append(FORMATS[form](json.loads(text), path))
            except KeyError as error:
                raise BadSample(path, number, f"the field {error} is missing, as {form} has it") from None
            except (ValueError, TypeError, IndexError) as error:
                raise BadSample(path, number, f"it is not as {form} has it ({error})") from None
    if not tasks:
        raise EmptyFile(path)
    return tasks


def ruler(line: Line, path: Path) -> Task:
    """`input`, `outputs`, and mostly `answer_prefix`. The task's name is that of the folder, else of the file."""
    whole, outputs = str(line["input"]), _texts(line["outputs"])
    name = path.stem if path.stem not in ("validation", "test") else path.parent.name
    cut = max(whole.rfind("\n"), 0) or whole.rfind(". ") + 1
    scorer = "any" if name.startswith("qa") else "every"
    question = _question(whole[cut:].strip(), outputs, scorer, lead=str(line.get("answer_prefix", "")).strip())
    return Task(f"ruler:{name}", whole[:cut], (question,))


def infinitebench(line: Line, path: Path) -> Task:
    """`context`, `input`, `answer` and, to choose from, `options`; the task's name is the file's."""
    scorer, words = _known(INFINITEBENCH, path.stem)
    return Task(f"infinitebench:{path.stem}", _context(line), (_own(line, line["answer"], scorer, words),))


def longbench(line: Line, path: Path) -> Task:
    """`context`, `input`, `answers`, `dataset`, and `all_classes` where the answer is one of them."""
    name = str(line.get("dataset") or path.stem).removesuffix("_e")
    scorer, words = _known(LONGBENCH, name)
    return Task(f"longbench:{name}", _context(line), (_own(line, line["answers"], scorer, words),))


def scbench(line: Line, path: Path) -> Task:
    """`context` and `multi_turns` of `input`, `answer`, `options`; earlier turns are told with their right answers."""
    history: tuple[Turn, ...] = ()
    questions = []
    for turn in line["multi_turns"]:
        scorer = _known(SCBENCH, str(turn.get("task") or path.stem))
        expected = _expected(turn, turn["answer"], scorer)
        words = f"{turn['input']}{_options(turn)}" + (f"\n{LETTER}" if scorer == "choice" else "")
        questions.append(_question(words, expected, scorer, history=history))
        history = (*history, (words, expected[0]))
    return Task(f"scbench:{path.stem}", _context(line), tuple(questions))


def _own(line: Line, answer: Any, scorer: str, words: str) -> Question:
    """A question in our own words around the sample's."""
    return _question(f"{words}{line.get('input', '')}{_options(line)}".strip(), _expected(line, answer, scorer), scorer)


def _question(
    text: str, expected: tuple[str, ...], scorer: str, *, lead: str = "", history: tuple[Turn, ...] = ()
) -> Question:
    return Question(text, expected, scorer, lead=lead, room=ROOM.get(scorer, USUAL), history=history)


def _expected(line: Line, answer: Any, scorer: str) -> tuple[str, ...]:
    """What the scorer wants: of options the letter, of classes the right one before all, of numbers the digits."""
    found = _texts(answer)
    if scorer == "choice":
        options = [str(option) for option in line["options"]]
        return (next(LETTERS[options.index(a)] if a in options else a for a in found if a in (*options, *LETTERS)),)
    if scorer == "named_class":
        return (found[0], *(str(name) for name in line["all_classes"] if name != found[0]))
    if scorer in ("first_number", "last_number"):
        return ("".join(c for c in found[0].split(".")[0] if c.isdigit() or c == "-"),)
    return found


def _texts(value: Any) -> tuple[str, ...]:
    found = tuple(str(each) for each in value) if isinstance(value, list) else (str(value),)
    if not found or not all(found):
        raise ValueError("an answer is empty")
    return found


def _context(line: Line) -> str:
    context = line["context"] if "context" in line else line["content"]
    return context if isinstance(context, str) else json.dumps(context)


def _options(line: Line) -> str:
    options: list[Any] = line.get("options") or []
    return "".join(f"\n{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))


def _known(table: dict[str, Any], name: str) -> Any:
    if name not in table:
        raise ValueError(f"the task '{name}' is none of {', '.join(table)}")
    return table[name]


FORMATS: dict[str, Callable[[Line, Path], Task]] = {
    "ruler": ruler, "infinitebench": infinitebench, "longbench": longbench, "scbench": scbench,
}  # fmt: skip
