"""The SDK: quick to import, the same locally and over HTTP, for coroutines and for notebooks."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.answering.answer import Answer, AnswerStats, Citation
from app.http.tokens import Tokens
from app.remote.remote import RemoteLibrary
from app.remote.wire import RemoteError
from app.uploads import upload_path
from engine.errors import Cancelled
from omnibus import Library, Sampling
from tests.app.serving import NOTES, serving
from tests.conftest import ROOT

WARM = Sampling(temperature=0.9, seed=3, max_new_tokens=12)


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, random_models: dict[str, Path]
) -> Iterator[tuple[Library, RemoteLibrary]]:
    with serving(tmp_path_factory.mktemp("home"), random_models["llama"]) as (url, local):
        secret = Tokens(local.settings.home).new("sdk", ("ask", "manage"))
        with Library(url, token=secret) as remote:
            assert isinstance(remote, RemoteLibrary)
            yield local, remote


@pytest.mark.parametrize(("arguments", "limit"), [(("-c", "import omnibus"), 1.0), (("-m", "omnibus", "--help"), 0.5)])
def test_starting_is_quick(arguments: tuple[str, ...], limit: float) -> None:
    def seconds() -> float:
        """Of the processor, so that a busy machine does not count; quiet ones take as long by the clock."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < limit


@pytest.mark.parametrize(
    "module", ["app.library", "app.collection", "app.watch.watching", "app.jobs.workers", "app.remote.remote"]
)
def test_what_asks_no_model_loads_no_tensors(module: str) -> None:
    """Adding, listing, watching and asking a server start in a second: torch and transformers would take five."""
    code = f"import sys, {module}; print([m for m in ('torch', 'transformers', 'gradio') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"


def test_the_same_answer_here_and_there(both: tuple[Library, RemoteLibrary]) -> None:
    here, there = (library.collection("shore") for library in both)
    mine, theirs = here.ask("Who keeps the key?", sampling=WARM), there.ask("Who keeps the key?", sampling=WARM)
    assert theirs.text == mine.text
    assert theirs.citations == mine.citations
    assert theirs.stats.answer_tokens == mine.stats.answer_tokens
    assert there.plan() == here.plan()
    assert [d.path for d in there.documents()] == ["notes.txt"]
    place = theirs.citations[0]
    assert place.document is not None
    assert there.source(place.document, char_start=place.char_start) == here.source(
        place.document, char_start=place.char_start
    )
    assert there.warm().prompt_tokens == here.warm().prompt_tokens
    assert [a.text for a in there.ask_batch(["Who keeps the key?"], sampling=WARM)] == [mine.text]


def test_documents_are_sent_with_their_folders(both: tuple[Library, RemoteLibrary], tmp_path: Path) -> None:
    for name in ("book/a/notes.txt", "book/b/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(NOTES)
    here, there = (library.collection("sent") for library in both)
    assert [d.path for d in there.add(tmp_path / "book").loaded] == ["book/a/notes.txt", "book/b/notes.txt"]
    sent = here.documents()
    here.add(tmp_path / "book")
    assert [(d.path, d.id) for d in here.documents()] == [(d.path, d.id) for d in sent]  # as if added here
    assert "sent" in [info.name for info in both[1].collections()]
    there.remove("book/a/notes.txt")
    both[1].delete_collection("sent")
    with pytest.raises(RemoteError, match="no collection 'sent'"):
        there.documents()


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a/b.txt", "a/b.txt"),
        ("../../etc/passwd", "etc/passwd"),
        ("/abs/b.txt", "abs/b.txt"),
        ("C:\\notes\\b.txt", "notes/b.txt"),
        ("a/./ /b\r\n.txt", "a/b.txt"),
        ("..", "upload"),
    ],
)
def test_an_uploads_path_stays_inside_its_collection(sent: str, kept: str) -> None:
    assert upload_path(sent) == kept


def test_both_stream_to_coroutines(both: tuple[Library, RemoteLibrary]) -> None:
    async def read(library: Library | RemoteLibrary) -> str:
        stream = library.collection("shore").stream("Who keeps the key?", sampling=WARM)
        return "".join([piece async for piece in stream])

    async def run() -> list[str]:
        return list(await asyncio.gather(*(read(library) for library in both)))

    mine, theirs = asyncio.run(run())
    assert mine == theirs


def test_a_remote_answer_can_be_stopped(both: tuple[Library, RemoteLibrary]) -> None:
    local, remote = both
    stream = remote.collection("shore").stream("Who keeps the key?")
    with local.turn():
        threading.Timer(0.5, stream.cancel).start()
        started = time.perf_counter()
        with pytest.raises(Cancelled):
            list(stream)
    assert time.perf_counter() - started < 5


def test_a_server_that_is_not_there_is_named() -> None:
    with Library("http://127.0.0.1:9") as library, pytest.raises(RemoteError, match="omnibus serve"):
        library.collections()


def test_a_wrong_token_is_refused(both: tuple[Library, RemoteLibrary]) -> None:
    with Library(both[1].url, token="omni-wrong") as library, pytest.raises(RemoteError) as caught:
        library.collections()
    assert caught.value.status == 401


def test_a_notebook_shows_the_answer_and_runs_nothing_of_it() -> None:
    stats = AnswerStats(10, 0, 0.1, 0.1, None, "dense", "whole", None, None, 1)
    cited = Citation("<script>alert(1)</script>", "exact", "d", "a&b.txt", None, 2, 3, 0, 9)
    html = Answer("1 < 2\n<img src=x>", (cited,), stats, "All read.")._repr_html_()
    assert "<script" not in html
    assert "<img" not in html
    assert "a&amp;b.txt, lines 2-3" in html
    assert "1 &lt; 2<br>" in html
