"""A store in an object store, on a real S3-compatible server on loopback."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StoreError
from engine.prefill.spans import chunk_spans
from engine.store import Store, export_session, import_session
from engine.store.errors import WrongKey
from engine.store.files import File, open_file
from engine.store.segment import Segment
from tests.engine.store.postgres import Postgres, program
from tests.engine.store.samples import NAMESPACE, found, kv, one_layer, restored, same, save_all

SPANS = chunk_spans(64, 16)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an empty bucket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "anybody")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "anything")
        filesystem("s3://corpora").mkdir("corpora")
        yield "s3://corpora"
    server.stop()


@pytest.fixture
def address(s3: str) -> str:
    """An empty folder of the bucket."""
    return f"{s3}/{secrets.token_hex(4)}"


@pytest.fixture
def remote(address: str, tmp_path: Path) -> Iterator[Store]:
    opened = Store(address, catalogue=tmp_path / "here" / "catalog.db")
    yield opened
    opened.close()


def filesystem(address: str) -> Any:
    import fsspec

    return fsspec.core.url_to_fs(address, use_listings_cache=False)[0]


def objects(address: str) -> list[str]:
    """Names of the chunks there."""
    return sorted(filesystem(address).glob(f"{address}/chunks/*/*.kv"))


def test_what_was_put_comes_back_bit_for_bit_on_another_machine(remote: Store, address: str, tmp_path: Path) -> None:
    keys = save_all(remote, range(64))
    manifest = remote.pin("book", NAMESPACE, range(64), SPANS)
    other = Store(address, catalogue=tmp_path / "there" / "catalog.db")
    assert [s.key for s in other.longest_prefix(NAMESPACE, range(64), SPANS).segments] == keys
    assert found(other, range(64)) == 64
    assert other.sessions() == [manifest]
    assert other.usage() == remote.usage() == sum(filesystem(address).info(name)["size"] for name in objects(address))
    assert other.verify() == []
    other.close()


def test_chunks_are_files_as_on_a_disk_byte_for_byte(remote: Store, store: Store, address: str) -> None:
    for where in (remote, store):
        where.save_later(NAMESPACE, None, range(16), kv(range(16), 0))
        where.flush()
    (name,) = objects(address)
    assert filesystem(address).cat_file(name) == next(store.root.glob("chunks/*/*.kv")).read_bytes()


def test_one_layer_is_read_without_the_others(remote: Store) -> None:
    save_all(remote, range(16))
    (segment,) = remote.longest_prefix(NAMESPACE, range(16), [(0, 16)]).segments
    assert same([one_layer(segment, 1)], kv(range(16), 0)[1:])


def test_a_bit_changed_in_an_object_is_a_miss_and_the_object_is_set_aside(remote: Store, address: str) -> None:
    keys, fs = save_all(remote, range(64)), filesystem(address)
    for at in (0, 20, 3000, -1):
        name = remote.chunk_path(keys[2]).path  # type: ignore[attr-defined]
        data = bytearray(fs.cat_file(name))
        data[at] ^= 4
        fs.pipe_file(name, bytes(data))
        assert found(remote, range(64)) == 32
        assert not fs.exists(name)
        save_all(remote, range(64))
        assert found(remote, range(64)) == 64
    assert len(fs.ls(f"{address}/quarantine")) == 1


def test_an_object_removed_after_it_was_found_is_a_shorter_prefix(remote: Store) -> None:
    save_all(remote, range(64))
    prefix = remote.longest_prefix(NAMESPACE, range(64), SPANS)
    prefix.segments[2].path.unlink()
    assert restored(remote, prefix)[0][0].shape[1] == 32


def test_eviction_and_sessions_do_what_they_do_on_a_disk(remote: Store, address: str) -> None:
    for n in (1, 2):
        save_all(remote, [n] * 64)
    remote.pin("kept", NAMESPACE, [1] * 64, SPANS)
    remote.evict(0)
    assert (found(remote, [1] * 64), found(remote, [2] * 64)) == (64, 0)
    assert len(objects(address)) == remote.rebuild() == 4
    remote.remove("kept")
    remote.evict(0)
    assert (objects(address), remote.sessions()) == ([], [])


def test_a_put_that_fails_leaves_no_object_and_is_a_typed_error(
    remote: Store, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as failing:
        failing.setattr(remote.root.fs, "put_file", lambda *_: 1 / 0)  # type: ignore[attr-defined]
        with pytest.raises(StoreError, match="could not be written"):
            save_all(remote, range(16))
    assert objects(address) == []
    assert len(save_all(remote, range(16))) == 1


def test_a_session_moves_between_a_disk_and_an_object_store(remote: Store, store: Store, tmp_path: Path) -> None:
    save_all(store, range(64))
    store.pin("book", NAMESPACE, range(64), SPANS)
    export_session(store, "book", tmp_path / "book")
    import_session(remote, tmp_path / "book", NAMESPACE)
    export_session(remote, "book", tmp_path / "again")
    assert (tmp_path / "again").stat().st_size == (tmp_path / "book").stat().st_size
    assert found(remote, range(64)) == 64


def test_objects_are_encrypted_before_they_leave(address: str, tmp_path: Path) -> None:
    secret = Store(address, catalogue=tmp_path / "catalog.db", key="ab" * 32)
    save_all(secret, range(64))
    assert found(secret, range(64)) == 64
    assert all(b"namespace" not in filesystem(address).cat_file(name) for name in objects(address))
    secret.close()
    with pytest.raises(WrongKey, match="is encrypted"):
        Store(address, catalogue=tmp_path / "other.db")


@pytest.mark.skipif(not program("initdb"), reason="no PostgreSQL server here (apt package: postgresql)")
def test_two_machines_share_objects_through_postgresql(address: str) -> None:
    server = Postgres()
    url = server.database("shared")
    one, two = Store(address, catalogue=url), Store(address, catalogue=url)
    save_all(one, range(64))
    assert two.usage() == one.usage() > 0
    assert found(two, range(64)) == 64
    two.evict(0)
    assert (one.usage(), found(one, range(64)), objects(address)) == (0, 0, [])
    one.close()
    two.close()
    server.remove()


def test_a_store_elsewhere_needs_a_catalogue_and_an_address_that_leads_somewhere(s3: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="must be elsewhere"):
        Store(f"{s3}/x")
    with pytest.raises(StoreError, match="not understood"):
        Store("nonsense://x", catalogue=tmp_path / "catalog.db")
    with pytest.raises(StoreError, match="could not be"):
        Store("s3://no-such-bucket/x", catalogue=tmp_path / "catalog.db")


def test_local_files_are_read_in_place(store: Store) -> None:
    path = store.chunk_path(save_all(store, range(16))[0])
    file = open_file(path)
    assert type(file) is File
    file.close()
    assert Segment.open(path).path is path
