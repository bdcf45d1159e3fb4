"""Batch question answering over a small random model: together, in order, and on from where a run was killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pytest
import torch
from pyarrow import parquet

from app.batch.batch import answer_batch
from app.batch.batch_answer import Question
from app.batch.batch_file import run_batch
from app.batch.batch_progress import BatchProgress
from app.batch.batch_table import BatchFileProblem, read_rows
from app.examination.scores import score
from app.library import Library
from app.settings import Settings
from engine.decode.sampling import Sampling
from engine.errors import Cancelled
from engine.events import CancelToken
from kernels import decode_attention
from tests.app.serving import NOTES
from tests.conftest import ROOT

LIMIT = 12
ASKED = [
    f"What does note {n} say of the {what}?"
    for n in range(12)
    for what in ("key", "jetty", "lamp", "storm", "boathouse")
]
WARM = Sampling(temperature=0.9, seed=7, max_new_tokens=LIMIT)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def shore(home: Path, random_models: dict[str, Path]) -> Iterator[Library]:
    settings = Settings(home=home, model=str(random_models["llama"]), dtype="float32", max_new_tokens=LIMIT)
    with Library(settings=settings) as library:
        library.collection("shore").add_bytes("notes.txt", NOTES.encode())
        library.collection("pier").add_bytes("pier.txt", b"The pier is longer than the jetty.\n")
        yield library


def questions_file(folder: Path, rows: list[Any]) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_batch_answers_as_asking_one_by_one_does(shore: Library) -> None:
    collection = shore.collection("shore")
    alone = [collection.ask(question, max_new_tokens=LIMIT) for question in ASKED[:6]]
    together = sorted(collection.ask_batch(ASKED[:6]), key=lambda a: a.question.index)
    assert [a.text for a in together] == [a.text for a in alone]
    assert [a.citations for a in together] == [a.citations for a in alone]


def test_each_corpus_is_read_once(shore: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    engine = shore.engine
    context = engine.context

    def counted(tokens: Any, **more: Any) -> Any:
        read.append("")
        return context(tokens, **more)

    monkeypatch.setattr(engine, "context", counted)
    mixed = [Question(n, ASKED[n], ("shore", "pier")[n % 2]) for n in range(10)]
    answers = list(answer_batch(shore, mixed, sampling=WARM))
    assert len(read) == 2
    assert sorted(a.question.index for a in answers) == list(range(10))
    assert {c.path for a in answers if a.question.collection == "pier" for c in a.citations} == {"pier.txt"}


def test_a_corpus_beyond_the_window_is_asked_by_passages(shore: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shore.engine.model, "effective_window", 2048)
    monkeypatch.setattr(shore.engine.model, "packed_window", 1280)
    log = shore.collection("log")
    log.add_bytes("log.txt", b"Rain again, all week long, and no boat went out. " * 400)
    answers = list(log.ask_batch(ASKED[:2], sampling=WARM))
    assert [a.mode for a in answers] == ["packed", "packed"]


def test_a_rows_error_stops_no_other(shore: Library, tmp_path: Path) -> None:
    rows = [
        {"question": "Who keeps the key?", "id": "a"},
        {"question": "  "},
        {"id": "no question"},
        {"question": "Who?", "collection": "nowhere"},
        {"question": "long " * 3000},
        {"question": "What burns?"},
    ]
    seen: list[BatchProgress] = []
    file = questions_file(tmp_path, rows)
    out = tmp_path / "answers.jsonl"
    summary = run_batch(shore, file, out, collection="shore", mode="whole", sampling=WARM, on_progress=seen.append)
    made = rows_of(out)
    assert [row["index"] for row in made] == list(range(6))
    assert [row["error"] is None for row in made] == [True, False, False, False, False, True]
    assert "no collection 'nowhere'" in made[3]["error"]
    assert "window" in made[4]["error"]
    assert made[0]["id"] == "a"
    assert (summary.answered, summary.failed) == (2, 4)
    assert (seen[-1].done, seen[-1].total, seen[-1].eta_seconds) == (6, 6, 0)


def test_a_stopped_run_goes_on_with_the_same_rows(shore: Library, tmp_path: Path) -> None:
    file = questions_file(tmp_path, [{"question": q} for q in ASKED[:20]])
    run_batch(shore, file, tmp_path / "whole.jsonl", collection="shore", sampling=WARM)
    token = CancelToken()

    def stop(progress: BatchProgress) -> None:
        if progress.done == 7:
            token.cancel()

    out = tmp_path / "answers.jsonl"
    with pytest.raises(Cancelled):
        run_batch(shore, file, out, collection="shore", sampling=WARM, on_progress=stop, cancel=token)
    assert not out.exists()
    with (tmp_path / "answers.jsonl.partial").open("ab") as partial:
        partial.write(b'{"index": 19, "ans')  # cut short by a kill
    summary = run_batch(shore, file, out, collection="shore", sampling=WARM)
    assert summary.resumed == 7
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["answers.jsonl", "questions.jsonl", "whole.jsonl"]


def test_answers_of_another_run_are_never_mixed_in(shore: Library, tmp_path: Path) -> None:
    file = questions_file(tmp_path, [{"question": "Who?"}])
    out = tmp_path / "answers.jsonl"
    (tmp_path / "answers.jsonl.partial").write_text('{"run": "another"}\n')
    with pytest.raises(BatchFileProblem, match="another run"):
        run_batch(shore, file, out, collection="shore")
    (tmp_path / "answers.jsonl.partial").unlink()
    out.write_text("mine")
    with pytest.raises(BatchFileProblem, match="exists already"):
        run_batch(shore, file, out, collection="shore")
    assert out.read_text() == "mine"


@pytest.mark.parametrize(("name", "text", "match"), [("q.txt", "x", "must end in"), ("q.csv", "", "holds no question")])
def test_wrong_files_are_named(shore: Library, tmp_path: Path, name: str, text: str, match: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BatchFileProblem, match=match):
        run_batch(shore, tmp_path / name, tmp_path / "answers.csv")


def test_csv_in_and_out_with_scores(shore: Library, tmp_path: Path) -> None:
    with (tmp_path / "q.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        rows = [["Who keeps\nthe key?", "Marta", "notes.txt"], ["What burns?", "", "other.txt"]]
        writer.writerows([["question", "reference", "source"], *rows])
    summary = run_batch(shore, tmp_path / "q.csv", tmp_path / "a.csv", collection="shore", sampling=WARM)
    with (tmp_path / "a.csv").open(newline="") as file:
        made = list(csv.DictReader(file))
    assert made[0]["question"] == "Who keeps\nthe key?"
    assert json.loads(made[0]["citations"])[0]["path"] == "notes.txt"
    assert [row["citation_precision"] for row in made] == ["1.0", "0.0"]
    assert (made[1]["token_f1"], summary.citation_precision) == ("", 0.5)


def test_parquet_in_and_out_holds_what_json_lines_hold(shore: Library, tmp_path: Path) -> None:
    asked = {
        "question": ["Who keeps the key?", None, "What burns?"],
        "id": [1, 2, 3],
        "reference": ["Marta", None, None],
    }
    parquet.write_table(pyarrow.table(asked), tmp_path / "q.parquet")
    rows = [dict(zip(asked, row, strict=True)) for row in zip(*asked.values(), strict=True)]
    for questions, out in (("q.parquet", "a.parquet"), (questions_file(tmp_path, rows).name, "a.jsonl")):
        run_batch(shore, tmp_path / questions, tmp_path / out, collection="shore", sampling=WARM)
    made = read_rows(tmp_path / "a.parquet")
    assert made == rows_of(tmp_path / "a.jsonl")
    assert [row["error"] is None for row in made] == [True, False, True]
    assert pyarrow.types.is_integer(parquet.read_schema(tmp_path / "a.parquet").field("answer_tokens").type)


def test_parquet_that_cannot_be_read_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "q.parquet").write_text("no parquet")
    with pytest.raises(BatchFileProblem, match="no Parquet file"):
        read_rows(tmp_path / "q.parquet")
    with pytest.raises(BatchFileProblem, match="cannot be read"):
        read_rows(tmp_path / "nowhere.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)  # as where the extra is not installed
    with pytest.raises(BatchFileProblem, match=r"omnibus-rag\[parquet\]"):
        read_rows(tmp_path / "q.parquet")


def test_scores_are_those_of_reading_comprehension() -> None:
    made = score("The warden is Ilse Varga.", (), "Ilse Varga", None)
    assert made.exact_match == 0
    assert made.token_f1 == pytest.approx(2 * 2 / (4 + 2))
    assert score("An Ilse  Varga!", (), "the ilse varga", None).exact_match == 1
    assert score("x", (), None, None).token_f1 is None


def test_a_decode_step_gives_a_question_the_same_whatever_stands_beside_it() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(4, heads, keys, 64).bfloat16() for heads, keys in ((9, 1), (3, 128), (3, 128)))
    for own in range(30, 70, 3):
        seen = []
        for beside in (own, own + 1, own + 20, 127):
            lens = torch.tensor([own, beside, beside, beside], dtype=torch.int32)
            out, lse, _ = decode_attention(q, k, v, kv_lens=lens)
            seen.append((out[0], lse[0]))
        assert all(torch.equal(o, seen[0][0]) and torch.equal(s, seen[0][1]) for o, s in seen[1:])


def test_two_kills_lose_and_double_nothing(shore: Library, home: Path, tmp_path: Path) -> None:
    file = questions_file(tmp_path, [{"question": q} for q in ASKED])
    out, partial = tmp_path / "answers.jsonl", tmp_path / "answers.jsonl.partial"
    environment = {
        **os.environ,
        "OMNIBUS_HOME": str(home),
        "OMNIBUS_MODEL": shore.settings.model,
        "OMNIBUS_DTYPE": "float32",
    }
    command = [sys.executable, "-m", "omnibus", "batch", str(file), "-o", str(out), "-c", "shore"]
    command += ["--temperature", "0.9", "--seed", "7", "--max-new-tokens", str(LIMIT)]
    for rows in (8, 30):
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            if partial.exists() and partial.read_bytes().count(b"\n") > rows:
                process.send_signal(signal.SIGKILL)
            time.sleep(0.01)
        assert process.returncode == -signal.SIGKILL
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "60 of 60 questions answered" in done.stdout
    assert [row["index"] for row in rows_of(out)] == list(range(60))
    run_batch(shore, file, tmp_path / "whole.jsonl", collection="shore", sampling=WARM)
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
