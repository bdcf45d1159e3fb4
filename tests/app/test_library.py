"""The whole path with the real default model: documents in, cited answers out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.answering.answer import Answer, Turn
from app.answering.stream import Cancelled, CancelToken, Progress
from app.collection import Collection
from app.errors import (
    EmptyCollection,
    NoSuchCollection,
    NoSuchDocument,
    NotAnswerable,
    OmnibusError,
    UploadTooLarge,
    explain,
)
from app.library import Library
from app.settings import Settings
from engine.errors import PromptTooLong
from ingest.errors import FileMissing
from tests.conftest import SAMPLES


@pytest.fixture
def samples(library: Library) -> Collection:
    collection = library.collection("samples")
    collection.add(SAMPLES)
    return collection


def test_the_second_question_starts_from_the_session_store(samples: Collection) -> None:
    first = samples.ask("Who is the warden of the hut?")
    second = samples.ask("How many solar panels does the roof carry?")
    assert "Varga" in first.text
    assert "18" in second.text
    assert first.stats.cached_tokens == 0
    assert second.stats.cached_tokens >= samples.plan().corpus_tokens
    assert second.stats.ttft_s <= first.stats.ttft_s / 5
    assert (second.stats.mode, second.stats.policy) == ("whole", "auto")


def test_a_citation_names_file_line_and_quote(samples: Collection) -> None:
    answer = samples.ask("How many solar panels does the roof carry?")
    citation = answer.citations[-1]
    lines = (SAMPLES / "handbook.md").read_text().splitlines()
    assert (citation.path, citation.state, citation.page) == ("samples/handbook.md", "exact", None)
    assert citation.line_start is not None
    assert "18 solar panels" in lines[citation.line_start - 1]
    view = samples.source(str(citation.document), char_start=citation.char_start, char_end=citation.char_end)
    assert (view.highlight_start, view.highlight_end) == (citation.line_start, citation.line_end)
    assert view.lines[citation.line_start - view.first_line] == lines[citation.line_start - 1]


def test_a_citation_into_a_pdf_names_the_page(library: Library) -> None:
    collection = library.collection("pdf")
    collection.add(SAMPLES / "handbook.pdf")
    answer = collection.ask("What does a bed cost?")
    assert "38 crowns" in answer.text
    assert answer.citations[-1].page == "2"
    assert answer.citations[-1].place == "handbook.pdf, page 2"


def test_the_json_form_has_every_field(samples: Collection) -> None:
    value = json.loads(json.dumps(samples.ask("Who is the warden of the hut?").to_dict()))
    best = value["looked_at"][0]
    assert best["path"].endswith("handbook.md") or best["path"].endswith("handbook.pdf")
    assert best["line_start"] <= 8 <= best["line_end"] or best["page"]
    assert 0.05 <= best["share"] <= 1
    assert set(value) == {"text", "citations", "stats", "notice", "looked_at"}
    fields = {"quote", "document", "path", "page", "line_start", "line_end", "char_start", "char_end", "state"}
    assert set(value["citations"][0]) == fields
    stats = {
        "prompt_tokens",
        "cached_tokens",
        "prefill_s",
        "ttft_s",
        "decode_tok_s",
        "policy",
        "mode",
        "density",
        "recall",
    }
    assert stats <= set(value["stats"])


def test_a_corpus_beyond_the_effective_window_is_packed_and_the_answer_says_so(short_library: Library) -> None:
    collection = short_library.collection("code")
    collection.add(Path(json.__file__).parent)
    answer = collection.ask("Which class encodes Python data structures as JSON?")
    assert answer.stats.mode == "packed"
    assert answer.stats.prompt_tokens <= 1280
    assert "passages" in answer.notice
    assert "JSONEncoder" in answer.text
    assert answer.citations[-1].path == "json/encoder.py"
    plan = collection.plan()
    assert (plan.mode, plan.cached_tokens) == ("packed", 0)


def test_whole_can_be_forced_up_to_the_window_and_not_beyond(short_library: Library) -> None:
    collection = short_library.collection("long")
    collection.add_bytes("long.txt", ("All work and no play makes the keeper dull. " * 1200).encode())
    with pytest.raises(PromptTooLong) as caught:
        collection.ask("What does the keeper do?", mode="whole")
    assert "packed" in str(explain(caught.value))


def test_pieces_stream_and_the_answer_follows(samples: Collection) -> None:
    stream = samples.stream("Who is the warden of the hut?")
    pieces = list(stream)
    assert len(pieces) > 3
    assert stream.answer is not None
    assert "".join(pieces).strip() == stream.answer.text


def test_events_tell_how_far_reading_is(samples: Collection) -> None:
    events = list(samples.stream("Who is the warden of the hut?").events())
    prefill = [e for e in events if isinstance(e, Progress) and e.phase == "prefill"]
    assert prefill[-1].done == prefill[-1].total
    assert isinstance(events[-1], Answer)


def test_a_stop_in_the_middle_of_reading_frees_the_engine(samples: Collection) -> None:
    token = CancelToken()

    def stop(event: Progress) -> None:
        if event.phase == "prefill":
            token.cancel()

    with pytest.raises(Cancelled):
        samples.ask("Who is the warden of the hut?", on_progress=stop, cancel=token)
    assert "Varga" in samples.ask("Who is the warden of the hut?").text


def test_a_reader_who_goes_away_stops_the_work(samples: Collection) -> None:
    for piece in samples.stream("Who is the warden of the hut?"):
        assert piece
        break
    assert "18" in samples.ask("How many solar panels does the roof carry?").text


def test_earlier_turns_are_part_of_the_prompt(samples: Collection) -> None:
    alone = samples.ask("And who cooks?", max_new_tokens=4)
    turns = [Turn("Who is the warden of the hut?", "Ilse Varga.")]
    after = samples.ask("And who cooks?", history=turns, max_new_tokens=4)
    assert after.stats.prompt_tokens > alone.stats.prompt_tokens + 10
    assert after.stats.cached_tokens > samples.plan().corpus_tokens


def test_warming_makes_the_first_question_start_at_once(samples: Collection) -> None:
    report = samples.warm()
    assert report.prompt_tokens > report.cached_tokens == 0
    answer = samples.ask("Who is the warden of the hut?")
    assert answer.stats.cached_tokens == report.prompt_tokens
    plan = samples.plan()
    assert plan.prefill_seconds is not None
    assert "in the model's own type on the device" in plan.memory
    assert plan.cached_tokens == report.prompt_tokens


def test_a_session_survives_the_process(home: Path) -> None:
    for cached in (False, True):
        with Library(settings=Settings(home=home)) as library:
            collection = library.collection("samples")
            collection.add(SAMPLES / "handbook.md")
            answer = collection.ask("Who is the warden of the hut?", max_new_tokens=8)
            assert (answer.stats.cached_tokens > 0) is cached


def test_a_damaged_session_is_recomputed_and_the_answer_is_the_same(samples: Collection, home: Path) -> None:
    first = samples.ask("Who is the warden of the hut?")
    for chunk in (home / "sessions").glob("chunks/*/*.kv"):
        data = bytearray(chunk.read_bytes())
        data[-1] ^= 1
        chunk.write_bytes(data)
    again = samples.ask("Who is the warden of the hut?")
    assert again.text == first.text
    assert again.stats.cached_tokens == 0


class TestDocuments:
    def test_every_file_gets_a_verdict(self, library: Library, tmp_path: Path) -> None:
        folder = tmp_path / "mixed"
        folder.mkdir()
        (folder / "good.txt").write_text("some text")
        (folder / "photo.png").write_bytes(b"\x89PNG\0\0\0")
        (folder / "broken.pdf").write_bytes(b"%PDF-1.4 no")
        report = library.collection("mixed").add(folder)
        assert [d.path for d in report.loaded] == ["mixed/good.txt"]
        assert {d.path: bool(d.reason) for d in report.skipped} == {"mixed/broken.pdf": True, "mixed/photo.png": True}
        assert len(library.collection("mixed").documents()) == 3

    def test_a_missing_path_changes_nothing(self, library: Library, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("a")
        with pytest.raises(FileMissing):
            library.collection("x").add(tmp_path / "a.txt", tmp_path / "gone.txt")
        assert library.collections() == []

    def test_adding_again_replaces_what_changed_and_keeps_the_rest(self, library: Library, tmp_path: Path) -> None:
        file = tmp_path / "a.txt"
        collection = library.collection("x")
        for text in ("one", "one", "two"):
            file.write_text(text)
            collection.add(file)
            (info,) = collection.documents()
            assert collection.source(info.id).lines == (text,)
        assert collection.shelf.search("one") == []
        assert len(collection.shelf.search("two")) == 1

    def test_two_files_of_one_name_are_both_kept(self, library: Library, tmp_path: Path) -> None:
        for folder in ("left", "right"):
            (tmp_path / folder / "src").mkdir(parents=True)
            (tmp_path / folder / "src" / "a.txt").write_text(folder)
            library.collection("x").add(tmp_path / folder / "src")
        paths = [d.path for d in library.collection("x").documents()]
        assert paths == ["right/src/a.txt", "src/a.txt"]

    def test_removing_takes_text_and_index_with_it(self, library: Library) -> None:
        collection = library.collection("x")
        collection.add_bytes("a.txt", b"a very particular word")
        collection.remove("a.txt")
        assert collection.documents() == []
        assert collection.shelf.search("particular") == []
        with pytest.raises(NoSuchDocument):
            collection.remove("a.txt")

    def test_an_upload_may_not_leave_the_collection_by_its_name(self, library: Library) -> None:
        assert library.collection("x").add_bytes("../../etc/passwd", b"hello").path == "etc/passwd"

    def test_an_upload_has_a_limit(self, home: Path) -> None:
        with (
            Library(settings=Settings(home=home, max_upload_mb=1)) as library,
            pytest.raises(UploadTooLarge, match="larger than 1 MB"),
        ):
            library.collection("x").add_bytes("big.txt", b"x" * (2 << 20))

    def test_two_libraries_share_one_home(self, home: Path) -> None:
        with Library(settings=Settings(home=home)) as one, Library(settings=Settings(home=home)) as two:
            one.collection("x").add_bytes("a.txt", b"from one")
            two.collection("x").add_bytes("b.txt", b"from two")
            assert [d.path for d in one.collection("x").documents()] == ["a.txt", "b.txt"]
            two.delete_collection("x")
            assert one.collections() == []

    def test_what_other_collections_hold_does_not_change_the_ranking(self, library: Library) -> None:
        collection = library.collection("x")
        collection.add_bytes("a.txt", b"kettle kettle kettle lamp")
        collection.add_bytes("b.txt", b"lamp lamp lamp kettle")
        before = collection.shelf.search("kettle lamp")
        library.collection("y").add_bytes("c.txt", b"kettle " * 500)
        assert collection.shelf.search("kettle lamp") == before
        library.delete_collection("y")
        assert collection.shelf.search("kettle lamp") == before

    def test_search_ranks_by_words_and_survives_any_question(self, library: Library) -> None:
        collection = library.collection("x")
        collection.add_bytes("a.txt", b"the kettle is on the stove")
        collection.add_bytes("b.txt", b"nothing of interest")
        assert collection.shelf.search("Where is the kettle?")[0].path == "a.txt"
        for odd in ('"', "AND OR NOT", "a*b NEAR(x)", "???", "the", "💥", "x" * 5000):
            assert isinstance(collection.shelf.search(odd), list)


class TestErrors:
    def test_an_unknown_collection_says_which_there_are(self, samples: Collection) -> None:
        with pytest.raises(NoSuchCollection, match="There are: samples"):
            samples.library.collection("nope").ask("anything?")

    def test_an_empty_collection_says_what_to_do(self, library: Library) -> None:
        library.collection("x").add_bytes("photo.png", b"\x89PNG\0\0")
        with pytest.raises(EmptyCollection, match="omnibus add"):
            library.collection("x").ask("anything?")

    def test_an_empty_question_is_refused(self, samples: Collection) -> None:
        with pytest.raises(NotAnswerable):
            samples.ask("  ")

    def test_a_wrong_model_is_one_sentence(self, home: Path) -> None:
        with Library(settings=Settings(home=home), model="./nowhere") as library:
            library.collection("x").add_bytes("a.txt", b"text")
            with pytest.raises(Exception, match="No model") as caught:
                library.collection("x").ask("anything?")
            assert explain(caught.value) == str(caught.value)

    def test_bugs_are_not_explained_away(self) -> None:
        assert explain(ZeroDivisionError()) is None
        assert explain(OmnibusError("said")) == "said"


def test_an_uploaded_pdf_shows_its_page_until_it_is_removed(library: Library) -> None:
    books = library.collection("printed")
    info = books.add_bytes("handbook.pdf", (SAMPLES / "handbook.pdf").read_bytes())
    text = books.shelf.document(info.id).text
    start = text.index("2.3 The roof")
    page = books.page_image(info.id, start, start + 40)
    assert page is not None
    assert page.png.startswith(b"\x89PNG")
    assert page.boxes
    kept = list((library.settings.home / "originals").iterdir())
    assert len(kept) == 1
    assert kept[0].stat().st_mode & 0o077 == 0
    books.remove(info.path)
    assert not kept[0].exists()


def test_a_pdf_added_by_its_path_shows_its_page_only_while_it_is_the_same(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "handbook.pdf"
    file.write_bytes((SAMPLES / "handbook.pdf").read_bytes())
    books = library.collection("printed")
    (info,) = books.add(file).loaded
    assert books.page_image(info.id, 0, 20) is not None
    file.write_bytes(b"something else")
    assert books.page_image(info.id, 0, 20) is None
