"""The catalogue in PostgreSQL, on a real server: several machines' processes share one store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.prefill.spans import chunk_spans
from engine.store import Store
from tests.engine.store.postgres import Postgres, program
from tests.engine.store.samples import NAMESPACE, chunk_files, chunk_path, found, leftovers, save_all, started

pytestmark = pytest.mark.skipif(not program("initdb"), reason="no PostgreSQL server here (apt package: postgresql)")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.remove()


@pytest.fixture
def url(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    return postgres.database(str(abs(hash(request.node.name))))


def _save_corpora(root: Path, url: str, quota: int | None, rounds: int, pipe: Connection) -> None:
    for _ in range(rounds):
        store = Store(root, quota_bytes=quota, catalogue=url)
        for n in range(12):
            save_all(store, [n] * 48)
        store.close()
    pipe.send("done")


def test_two_processes_saving_the_same_corpora_make_one_copy_and_one_catalogue(tmp_path: Path, url: str) -> None:
    root = tmp_path / "store"
    children = [started(_save_corpora, root, url, None, 1) for _ in range(2)]
    assert [pipe.recv() for _, pipe in children] == ["done"] * 2
    for child, _ in children:
        child.join()
    store = Store(root, catalogue=url)
    assert store.verify() == []
    assert len(chunk_files(store)) == 12 * 3
    assert store.usage() == sum(path.stat().st_size for path in chunk_files(store))
    assert all(found(store, [n] * 48) == 48 for n in range(12))
    assert leftovers(root) == []
    assert not (root / "catalog.db").exists()
    store.close()


def test_readers_writers_evicters_and_rebuilders_at_once_never_load_anything_wrong(tmp_path: Path, url: str) -> None:
    root = tmp_path / "store"
    store = Store(root, catalogue=url)
    save_all(store, [100] * 48)
    store.pin("kept", NAMESPACE, [100] * 48, chunk_spans(48, 16))
    quota = store.usage() * 5
    children = [started(_save_corpora, root, url, quota, 2) for _ in range(2)]
    loads = 0
    while any(child.is_alive() for child, _ in children):
        loads += sum(found(store, [n] * 48) for n in range(12))  # fails on anything wrong
        assert found(store, [100] * 48) == 48
        store.rebuild()
        store.evict(quota // 2)
    assert [pipe.recv() for _, pipe in children] == ["done"] * 2
    assert loads > 0
    assert store.verify() == []
    store.close()


def test_it_knows_and_evicts_what_one_in_sqlite_does(store: Store, tmp_path: Path, url: str) -> None:
    shared = Store(tmp_path / "shared", catalogue=url)
    for where in (store, shared):
        for n in (1, 2, 3):
            save_all(where, [n] * 48)
        save_all(where, [8] * 16, replace(NAMESPACE, salt="s"))
        where.pin("kept", NAMESPACE, [2] * 48, chunk_spans(48, 16))
        assert found(where, [1] * 48) == 48
        where.evict(where.usage() // 2)
    assert [p.name for p in chunk_files(store)] == [p.name for p in chunk_files(shared)]
    assert store.usage() == shared.usage() == sum(p.stat().st_size for p in chunk_files(shared))
    assert shared.rebuild() == len(chunk_files(shared))
    shared.remove("kept")
    shared.evict(0)
    assert (shared.usage(), shared.sessions()) == (0, [])
    shared.close()


def test_what_a_crash_set_apart_is_put_right_at_the_next_start(tmp_path: Path, url: str) -> None:
    store = Store(tmp_path / "store", catalogue=url)
    keys = save_all(store, range(48))
    store.close()
    chunk_path(store, keys[2]).unlink()
    again = Store(store.root, catalogue=url)
    assert again.usage() == sum(p.stat().st_size for p in chunk_files(again))
    again.close()


def _die_holding_the_lock(root: Path, url: str, pipe: Connection) -> None:
    store = Store(root, catalogue=url)
    with store._locked():
        pipe.send("held")
        pipe.poll(60)


def test_a_process_killed_while_it_holds_the_lock_holds_nobody_up(tmp_path: Path, url: str) -> None:
    child, pipe = started(_die_holding_the_lock, tmp_path / "store", url)
    assert pipe.recv() == "held"
    child.kill()
    child.join()
    store = Store(tmp_path / "store", catalogue=url)
    assert len(save_all(store, range(16))) == 1
    store.close()


def test_while_the_server_is_away_reading_goes_on_and_saving_is_a_typed_error(
    postgres: Postgres, tmp_path: Path, url: str
) -> None:
    store = Store(tmp_path / "store", catalogue=url)
    save_all(store, [1] * 48)
    postgres.stop()
    try:
        assert found(store, [1] * 48) == 48
        assert "catalogue cannot be used" in (store.longest_prefix(NAMESPACE, [9] * 16, [(0, 16)]).miss_reason or "")
        with pytest.raises(StoreError, match="catalogue cannot be used"):
            save_all(store, [2] * 16)
        with pytest.raises(StoreError, match="catalogue cannot be used"):
            Store(tmp_path / "store", catalogue=url)
    finally:
        postgres.start()
    assert len(save_all(store, [2] * 16)) == 1
    assert store.usage() == sum(p.stat().st_size for p in chunk_files(store))
    store.close()


def test_another_stores_catalogue_is_refused_and_other_tables_are_left_alone(tmp_path: Path, url: str) -> None:
    import psycopg

    with psycopg.connect(url) as db:
        db.execute("CREATE TABLE session (name text)")
        db.execute("INSERT INTO session VALUES ('mine')")
    store = Store(tmp_path / "store", catalogue=url)
    save_all(store, range(48))
    with pytest.raises(StoreError, match="belongs to another session store"):
        Store(tmp_path / "other", catalogue=url)
    store.rebuild()
    assert store.usage() > 0
    with psycopg.connect(url) as db:
        assert db.execute("SELECT name FROM public.session").fetchall() == [("mine",)]
    store.close()


@pytest.mark.parametrize("address", ["nonsense", "postgresql://nobody@127.0.0.1:1/none"])
def test_an_address_that_leads_nowhere_is_a_typed_error(tmp_path: Path, address: str) -> None:
    with pytest.raises(StoreError, match="catalogue"):
        Store(tmp_path / "store", catalogue=address)
