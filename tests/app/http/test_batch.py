"""Batches and jobs over HTTP: submitted, watched, read as JSON lines, stopped, gone on with after a restart."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.batch import batches
from app.batch.batch_file import run_batch
from app.library import Library
from app.settings import Settings
from engine.decode.sampling import Sampling
from tests.app.serving import serving

ASKED = [f"What does note {n} say of the key?" for n in range(10)]
BODY = {
    "collection": "shore",
    "questions": [{"question": q, "id": f"q{n}"} for n, q in enumerate(ASKED)],
    "max_tokens": 8,
    "temperature": 0.9,
    "seed": 5,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, random_models: dict[str, Path]) -> Iterator[tuple[str, Library]]:
    with serving(tmp_path_factory.mktemp("home"), random_models["llama"], queue_limit=2) as it:
        yield it


def settled(url: str, number: int) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        info: dict[str, Any] = httpx.get(f"{url}/api/batch/{number}").json()
        if info["state"] != "running":
            return info
        time.sleep(0.05)
    raise AssertionError(f"batch {number} does not end: {info}")


def results(url: str, number: int, **query: int) -> list[dict[str, Any]]:
    text = httpx.get(f"{url}/api/batch/{number}/results", params=query).text
    return [json.loads(line) for line in text.splitlines()]


def test_a_batch_gives_the_rows_that_the_command_gives(served: tuple[str, Library], tmp_path: Path) -> None:
    url, library = served
    made = httpx.post(f"{url}/api/batch", json=BODY)
    assert made.status_code == 202
    number = made.json()["id"]
    assert made.json()["total"] == 10
    info = settled(url, number)
    assert (info["state"], info["done"], info["error"]) == ("done", 10, None)
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(q) + "\n" for q in BODY["questions"]))  # type: ignore[attr-defined]
    sampling = Sampling(temperature=0.9, seed=5, max_new_tokens=8)
    run_batch(library, tmp_path / "q.jsonl", tmp_path / "a.jsonl", collection="shore", sampling=sampling)
    assert results(url, number) == [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [row["id"] for row in results(url, number, after=8)] == ["q8", "q9"]
    (job,) = [job for job in httpx.get(f"{url}/api/jobs").json() if job["id"] == number]
    assert (job["kind"], job["state"], job["files_done"]) == ("batch", "done", 10)


def test_a_stopped_batch_keeps_its_rows_and_goes_on(served: tuple[str, Library]) -> None:
    url = served[0]
    many = [{"question": f"{q} ({n})"} for n in range(8) for q in ASKED]
    number = httpx.post(f"{url}/api/batch", json={**BODY, "questions": many, "max_tokens": 24}).json()["id"]
    while not results(url, number):
        time.sleep(0.02)
    assert httpx.post(f"{url}/api/jobs/{number}/cancel").status_code == 200
    assert settled(url, number)["state"] == "cancelled"
    before = results(url, number)
    assert 0 < len(before) < 80
    assert httpx.post(f"{url}/api/jobs/{number}/resume").status_code == 202
    time.sleep(0.2)
    assert settled(url, number)["state"] == "done"
    rows = results(url, number)
    assert [row["index"] for row in rows] == list(range(80))
    assert all(row == rows[row["index"]] for row in before)


def test_a_server_that_ends_leaves_a_batch_to_the_next(random_models: dict[str, Path], tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, model=str(random_models["llama"]), dtype="float32")
    with Library(settings=settings) as library:
        library.collection("shore").add_bytes("notes.txt", b"Marta keeps the key of the boathouse.\n" * 3)
        questions = [{"question": f"{q} ({n})"} for n in range(8) for q in ASKED]
        sampling = Sampling(max_new_tokens=24)
        job = batches.submit(library, questions, collection="shore", sampling=sampling)
        while not list(batches.rows(library, job.id)):
            time.sleep(0.02)
    with Library(settings=settings) as library:
        time.sleep(1)
        before = list(batches.rows(library, job.id))
        (left,) = batches.interrupted(library)
        assert left.id == job.id
        library.resume_job(job.id)
        while library.job(job.id).state != "done":
            time.sleep(0.05)
        rows = [json.loads(line) for line in batches.rows(library, job.id)]
        assert [row["index"] for row in rows] == list(range(80))
        assert all(rows[row["index"]] == row for row in map(json.loads, before))


def test_the_sdk_sends_a_batch_as_a_batch(served: tuple[str, Library]) -> None:
    url, local = served
    sampling = Sampling(temperature=0.9, seed=5, max_new_tokens=8)
    seen: list[int] = []
    with Library(url) as remote:
        answers = remote.collection("shore").ask_batch(
            ASKED, sampling=sampling, on_progress=lambda progress: seen.append(progress.done)
        )
        theirs = {answer.question.index: answer for answer in answers}
    mine = {answer.question.index: answer for answer in local.collection("shore").ask_batch(ASKED, sampling=sampling)}
    assert {n: a.to_dict() for n, a in theirs.items()} == {n: a.to_dict() for n, a in mine.items()}
    assert seen == list(range(1, 11))


@pytest.mark.parametrize(
    ("change", "status"),
    [({"questions": []}, 400), ({"temperature": 9}, 400), ({"questions": [{"query": "x"}]}, 400), ({}, 202)],
)
def test_a_wrong_batch_is_refused(served: tuple[str, Library], change: dict[str, Any], status: int) -> None:
    made = httpx.post(f"{served[0]}/api/batch", json={**BODY, "collection": "nowhere", **change})
    assert made.status_code == status
    if status == 202:  # each row says what is wrong with it
        settled(served[0], made.json()["id"])
        assert "no collection 'nowhere'" in results(served[0], made.json()["id"])[0]["error"]
    for path in ("/api/batch/99999", "/api/batch/99999/results", "/api/jobs/99999"):
        assert httpx.get(served[0] + path).status_code == 404


def test_more_batches_than_may_wait_are_told_when_to_come_back(served: tuple[str, Library]) -> None:
    url, library = served
    with library.turn():
        made = [httpx.post(f"{url}/api/batch", json=BODY) for _ in range(4)]
        assert [m.status_code for m in made] == [202, 202, 202, 429]
        assert int(made[3].headers["retry-after"]) >= 1
    for m in made[:3]:
        assert settled(url, m.json()["id"])["state"] == "done"
