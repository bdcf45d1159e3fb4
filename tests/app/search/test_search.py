"""Search finds words, parts of identifiers, and nothing that was deleted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from app.answering.words import identifiers
from app.database.session import MIGRATIONS, connect
from app.library import Library
from app.search.search import Hit, fuse
from app.settings import Settings


def test_a_part_of_an_identifier_is_found(library: Library) -> None:
    collection = library.collection("x")
    collection.add_bytes("a.py", b"class StreamingJSONDecoderBase:\n    pass\n")
    collection.add_bytes("b.py", b"def other():\n    pass\n")
    assert [hit.path for hit in collection.shelf.search("What does JSONDecoder do?")] == ["a.py"]
    assert [hit.path for hit in collection.shelf.search("what streams?")] == []
    assert [hit.path for hit in collection.shelf.search("Is there a decoder?")] == ["a.py"]
    collection.remove("a.py")
    assert collection.shelf.search("What does JSONDecoder do?") == []


def test_names_in_code_are_told_from_words() -> None:
    assert identifiers("Where is read_all_bytes called by os.pathLike, or HTTPServer, utf8 and Word?") == [
        "read_all_bytes",
        "pathLike",
        "HTTPServer",
        "utf8",
    ]
    assert identifiers("Plain words, A sentence. NASA") == []


def test_what_both_rankings_have_comes_first() -> None:
    a, b, c = (Hit(path, 0, 1) for path in "abc")
    assert fuse([[a, b], [b, c]]) == [b, a, c]
    assert fuse([[], [c]]) == [c]


@pytest.mark.parametrize("word", ["lighthouse", "lighthous", "JSONLamp"])
def test_a_deleted_document_leaves_no_trace_on_disk(library: Library, word: str) -> None:
    collection = library.collection("x")
    collection.add_bytes("a.txt", b"The lighthouse keeps a JSONLamp. " * 50)
    collection.add_bytes("b.txt", b"Other words entirely.")
    home = library.settings.home
    assert any(word.encode() in file.read_bytes() for file in home.glob("library.db*"))
    collection.remove("a.txt")
    assert not any(word.encode() in file.read_bytes() for file in home.glob("library.db*"))


def test_of_what_leaves_no_tokens_stay(library: Library) -> None:
    collection, other = library.collection("x"), library.collection("y")
    kept = library.settings.home / "tokens"

    def held() -> int:
        return len(list(kept.rglob("*.tokens")))

    assert library.engine  # with a model, texts are tokenised as plans are made
    for each in (collection, other):
        each.add_bytes("a.txt", b"The lighthouse is old.")
        each.add_bytes("b.txt", b"Other words entirely.")
        each.plan()
    assert held() == 4
    collection.remove("a.txt")
    assert held() == 3
    library.delete_collection("x")
    assert held() == 2
    assert other.plan().corpus_tokens > 0


def test_a_library_from_before_trigrams_gets_them(library: Library, tmp_path: Path) -> None:
    library.collection("x").add_bytes("a.py", b"class StreamingJSONDecoderBase:\n    pass\n")
    library.close()
    old = tmp_path / "old"
    old.mkdir()
    shutil.copy(library.settings.database, old / "library.db")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = connect(old / "library.db")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "m002_watched")
    engine.dispose()
    with Library(settings=Settings(home=old)) as again:
        assert [hit.path for hit in again.collection("x").shelf.search("JSONDecoder")] == ["a.py"]
        assert again.jobs() == []
