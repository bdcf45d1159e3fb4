"""A session as one file: what arrives is what left, and nothing else is let in."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.prefill.spans import chunk_spans
from engine.store import Store, export_session, import_session
from engine.store.errors import NoSuchSession, NotImportable, SessionExists, SessionIncomplete, StoreFull
from tests.engine.store.samples import NAMESPACE, chunk_files, chunk_path, flip, found, leftovers, save_all

TOKENS = list(range(72))


@pytest.fixture
def exported(store: Store, tmp_path: Path) -> Path:
    save_all(store, TOKENS)
    store.pin("book", NAMESPACE, TOKENS, chunk_spans(72, 16), pack="digest")
    path = tmp_path / "book.omnibus"
    assert export_session(store, "book", path) == path.stat().st_size
    return path


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "other")
    yield opened
    opened.close()


def test_an_exported_session_is_loaded_elsewhere(exported: Path, store: Store, other: Store) -> None:
    manifest = import_session(other, exported, NAMESPACE)
    assert (manifest.name, manifest.tokens, manifest.pack) == ("book", tuple(TOKENS), "digest")
    other.evict(0)  # it is pinned
    assert found(other, TOKENS) == 72
    assert [p.read_bytes() for p in chunk_files(other)] == [p.read_bytes() for p in chunk_files(store)]
    assert other.verify() == []
    assert exported.stat().st_mode & 0o777 == 0o600


def test_importing_twice_or_under_another_name_keeps_one_copy(exported: Path, other: Store) -> None:
    for name in (None, None, "again"):
        import_session(other, exported, NAMESPACE, name=name)
    assert [m.name for m in other.sessions()] == ["again", "book"]
    assert len(chunk_files(other)) == 5


@pytest.mark.parametrize("field", ["weights", "dtype", "codec", "policy", "salt", "chunk_tokens"])
def test_other_settings_are_refused_with_the_field_that_differs(exported: Path, other: Store, field: str) -> None:
    namespace = replace(NAMESPACE, **{field: 32 if field == "chunk_tokens" else "else"})
    with pytest.raises(NotImportable, match=rf"other settings \({field} is "):
        import_session(other, exported, namespace)
    assert (chunk_files(other), other.sessions()) == ([], [])


def test_a_bit_flipped_anywhere_is_refused_or_harmless(exported: Path, store: Store, tmp_path: Path) -> None:
    rng, refused = random.Random(2), 0
    size = exported.stat().st_size
    for n, at in enumerate([*range(0, 1024, 64), *(rng.randrange(size) for _ in range(60))]):
        flip(exported, at, bit := rng.randrange(8))
        target = Store(tmp_path / f"target {n}")
        try:
            import_session(target, exported, NAMESPACE)
        except NotImportable:
            refused += 1
            assert target.sessions() == []
        else:  # a bit of the tar's own words, such as a time
            assert found(target, TOKENS) == 72
        assert found(target, TOKENS) % 16 in (0, 8)  # whatever stayed is right
        assert target.verify() == []
        assert leftovers(target.root) == []
        target.close()
        flip(exported, at, bit)
    assert refused > 60


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9])
def test_a_file_cut_off_is_refused(exported: Path, other: Store, share: float) -> None:
    exported.write_bytes(exported.read_bytes()[: int(share * exported.stat().st_size)])
    with pytest.raises(NotImportable):
        import_session(other, exported, NAMESPACE)
    assert other.sessions() == []


def _members(path: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(path) as tar:
        return [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]


def _pack(path: Path, members: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def test_chunks_of_another_session_and_names_that_lead_elsewhere_are_refused(
    exported: Path, store: Store, other: Store
) -> None:
    members = _members(exported)
    (session, text), chunks = members[0], members[1:]
    swapped = [(chunks[1][0], chunks[0][1]), *chunks[1:]]
    manifest = replace(store.session("book"), keys=("../../../../outside", *store.session("book").keys[1:]))
    evil = (session, manifest.dump())
    more = (session, replace(store.session("book"), tokens=tuple(range(73))).dump())
    for wrong in (
        [(session, text), *swapped],
        [(session, text), *chunks[1:]],
        [(session, text), *chunks[:-1]],
        [evil, ("../../../../outside.kv", chunks[0][1]), *chunks[1:]],
        [more, *chunks],
        chunks,
        [],
    ):
        _pack(exported, wrong)
        with pytest.raises(NotImportable):
            import_session(other, exported, NAMESPACE)
    assert other.sessions() == []
    assert other.verify() == []
    assert not list(other.root.parent.parent.rglob("outside*"))


def test_another_session_of_that_name_is_not_replaced(exported: Path, other: Store) -> None:
    save_all(other, [9] * 16)
    other.pin("book", NAMESPACE, [9] * 16, [(0, 16)])
    with pytest.raises(SessionExists, match="another session 'book'"):
        import_session(other, exported, NAMESPACE)
    assert import_session(other, exported, NAMESPACE, name="book 2").name == "book 2"


def test_a_quota_holds_while_importing(exported: Path, tmp_path: Path) -> None:
    small = Store(tmp_path / "small", quota_bytes=exported.stat().st_size // 2)
    with pytest.raises(StoreFull):
        import_session(small, exported, NAMESPACE)
    assert small.usage() <= exported.stat().st_size // 2
    small.close()


def test_what_cannot_be_exported_says_why(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NoSuchSession):
        export_session(store, "book", tmp_path / "x")
    keys = save_all(store, TOKENS)
    store.pin("book", NAMESPACE, TOKENS, chunk_spans(72, 16))
    with pytest.raises(StoreError, match="could not be written"):
        export_session(store, "book", tmp_path / "no such folder" / "x")
    flip(chunk_path(store, keys[2]), -9)
    with pytest.raises(SessionIncomplete, match=r"cannot be exported: 32 of its 72 tokens are kept .*damaged"):
        export_session(store, "book", tmp_path / "x")
    chunk_path(store, keys[0]).unlink()
    with pytest.raises(SessionIncomplete, match=r"0 of its 72 tokens are kept .a chunk is gone"):
        export_session(store, "book", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_file_that_is_not_there_or_no_session_is_refused(other: Store, tmp_path: Path) -> None:
    with pytest.raises(NotImportable, match="No such file"):
        import_session(other, tmp_path / "none", NAMESPACE)
    (tmp_path / "text").write_text("Hello" * 1000)
    with pytest.raises(NotImportable, match="no exported session"):
        import_session(other, tmp_path / "text", NAMESPACE)
    with pytest.raises(NotImportable, match="Is a directory"):
        import_session(other, tmp_path, NAMESPACE)
