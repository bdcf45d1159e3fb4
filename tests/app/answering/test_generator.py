"""Another engine as the generator: a real server (ours), asked in OpenAI's protocol by a library without a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.answering.answer import Turn
from app.batch.batch_file import run_batch
from app.http.tokens import Tokens
from app.library import Library
from app.remote.wire import RemoteError
from app.settings import Settings
from engine.decode.sampling import Sampling
from tests.app.serving import NOTES, listening
from tests.conftest import ROOT, SAMPLES

SHORT = Sampling(max_new_tokens=24)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, default_model_path: Path) -> Iterator[tuple[str, str]]:
    """The other engine's address and a token for it; it has the default model and no document."""
    home = tmp_path_factory.mktemp("other")
    (home / "models").symlink_to(default_model_path.parent)
    with Library(settings=Settings(home=home, chunk_tokens=32)) as library, listening(library) as url:
        yield f"{url}/v1", Tokens(home).new("generator", ("ask",))


@pytest.fixture
def asking(other: tuple[str, str], tmp_path: Path) -> Iterator[Library]:
    url, key = other
    settings = Settings(
        home=tmp_path / "home",
        model="/no/model/here",
        generator_url=url,
        generator_model="llm@",
        generator_key=key,
        generator_window=8192,
    )
    with Library(settings=settings) as library:
        library.collection("hut").add(SAMPLES / "handbook.md")
        yield library


def test_another_engine_answers_and_its_prefix_cache_hits(asking: Library) -> None:
    hut = asking.collection("hut")
    first = hut.ask("Who is the warden of the hut?", sampling=SHORT)
    assert "Varga" in first.text
    assert (first.citations[0].path, first.citations[0].state) == ("handbook.md", "exact")
    source = hut.shelf.document("handbook.md").text
    assert source[first.citations[0].char_start : first.citations[0].char_end] == first.citations[0].quote
    again = hut.ask("How many solar panels does the roof carry?", sampling=SHORT)
    assert again.stats.cached_tokens > 0.7 * again.stats.prompt_tokens  # all but the question
    assert not asking.loaded
    assert "llm@ at 127.0.0.1" in again.notice


def test_the_dialogue_stands_behind_the_same_bytes(asking: Library) -> None:
    hut = asking.collection("hut")
    hut.ask("Who is the warden of the hut?", sampling=SHORT)
    turn = Turn("Who is the warden of the hut?", "Ilse Varga.")
    second = hut.ask("And when does the kitchen close?", history=[turn], sampling=SHORT)
    assert second.stats.cached_tokens > 0.7 * second.stats.prompt_tokens


def test_a_collection_beyond_its_window_is_sent_as_passages(asking: Library) -> None:
    asking.collection("hut").add_bytes("long.txt", b"Rain again, all week long, and no boat went out.\n" * 2000)
    answer = asking.collection("hut").ask("Who is the warden of the hut?", sampling=SHORT)
    assert answer.stats.mode == "packed"
    assert "passages" in answer.notice


def test_a_batch_goes_through_another_engine_too(asking: Library, tmp_path: Path) -> None:
    questions = ["Who is the warden of the hut?", " ", "How many solar panels does the roof carry?"]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps({"question": q}) + "\n" for q in questions))
    summary = run_batch(asking, tmp_path / "q.jsonl", tmp_path / "a.jsonl", collection="hut", sampling=SHORT)
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert (summary.answered, summary.failed) == (2, 1)
    assert "Varga" in rows[0]["answer"]
    assert "18" in rows[2]["answer"]
    assert rows[0]["citations"][0]["path"] == "handbook.md"


def test_the_command_takes_a_generator(other: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(NOTES)
    environment = {
        **os.environ,
        "OMNIBUS_HOME": str(tmp_path / "home"),
        "OMNIBUS_GENERATOR_KEY": other[1],
        "OMNIBUS_GENERATOR_MODEL": "llm@",
    }

    def omnibus(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "omnibus", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert omnibus("add", str(tmp_path / "notes.txt")).returncode == 0
    run = omnibus("ask", "Who keeps the key of the boathouse?", "--generator", other[0], "--max-new-tokens", "24")
    assert run.returncode == 0, run.stderr
    assert "Lindqvist" in run.stdout
    assert "notes.txt" in run.stdout
    gone = omnibus("ask", "Who?", "--generator", "http://127.0.0.1:9/v1")
    assert (gone.returncode, "Traceback" in gone.stderr) == (1, False)
    assert "OMNIBUS_GENERATOR_URL" in gone.stderr


def test_what_it_refuses_is_said_in_its_words(asking: Library) -> None:
    asking.settings.generator_key = "omni-wrong"
    with pytest.raises(RemoteError, match="token is needed"):
        asking.collection("hut").ask("Who?", sampling=SHORT)
