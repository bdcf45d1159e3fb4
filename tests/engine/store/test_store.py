"""The session store: what comes back is what was saved, or nothing."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.errors import StoreError
from engine.prefill.spans import chunk_spans
from engine.store import Store
from engine.store.errors import NoSuchSession, SessionIncomplete, StoreFull
from engine.store.segment import Segment
from tests.engine.store.samples import (
    NAMESPACE,
    chunk_files,
    chunk_path,
    found,
    kv,
    one_layer,
    restored,
    same,
    save_all,
)


@pytest.mark.parametrize("codec", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("tokens", [1, 17, 1000])
def test_restored_kv_is_bit_identical(store: Store, codec: str, tokens: int) -> None:
    namespace, ids = replace(NAMESPACE, dtype=codec, codec=codec), list(range(tokens))
    layers = kv(ids, 0, namespace)
    layers[0][0].view(-1)[:4] = torch.tensor([float("nan"), float("-inf"), -0.0, 1e-40])
    store.save(namespace, None, ids, layers)
    assert same(restored(store, store.longest_prefix(namespace, ids, [(0, tokens)]), namespace), layers)


def test_views_into_a_larger_cache_are_saved_as_they_are(store: Store) -> None:
    layers, ids = kv(range(40), 0), list(range(20, 36))
    views = [(k[:, 20:36], v[:, 20:36]) for k, v in layers]
    store.save(NAMESPACE, None, ids, views)
    assert same(restored(store, store.longest_prefix(NAMESPACE, ids, [(0, 16)])), views)


def test_one_layer_can_be_read_without_the_others(store: Store) -> None:
    path = chunk_path(store, save_all(store, range(16))[0])
    segment, (_, (keys, values)) = Segment.open(path), kv(range(16), 0)
    data = bytearray(path.read_bytes())
    data[segment.payload + 5] ^= 1  # the other layer is damaged
    path.write_bytes(data)
    assert torch.equal(one_layer(segment, 1)[0], keys)
    assert torch.equal(one_layer(segment, 1)[1], values)
    assert all((segment.payload + place.offset) % 4096 == 0 for place in segment.layers)


def test_a_prefix_is_found_up_to_the_first_token_that_differs(store: Store) -> None:
    tokens = list(range(40))
    save_all(store, tokens)
    assert found(store, tokens) == 40
    assert found(store, [*tokens[:20], 99, *tokens[21:]]) == 16
    assert found(store, [99, *tokens[1:]]) == 0
    assert found(store, [*tokens, 1, 2, 3]) == 32  # the last, partial chunk belongs to 40 tokens exactly


def test_the_same_tokens_behind_other_tokens_are_other_chunks(store: Store) -> None:
    one, two = save_all(store, [1] * 16 + [3] * 16), save_all(store, [2] * 16 + [3] * 16)
    assert one[1] != two[1]
    assert found(store, [1] * 16 + [3] * 16) == found(store, [2] * 16 + [3] * 16) == 32


@pytest.mark.parametrize("field", sorted(NAMESPACE.record()))
def test_any_field_of_the_namespace_that_differs_is_a_miss_that_names_it(store: Store, field: str) -> None:
    tokens = list(range(32))
    save_all(store, tokens)
    value = getattr(NAMESPACE, field)
    changed = {int: lambda v: v + 1, str: lambda v: v + "x", tuple: lambda v: (("sinks", 5),)}[type(value)](value)
    prefix = store.longest_prefix(replace(NAMESPACE, **{field: changed}), tokens, [(0, 16), (16, 32)])
    assert prefix.tokens == 0
    assert prefix.miss_reason is not None
    value = replace(NAMESPACE, **{field: changed}).record()[field]
    assert ("salt is another" if field == "salt" else f"{field} is {value!r}") in prefix.miss_reason
    assert "; " not in prefix.miss_reason  # and no other field


def test_every_miss_says_why(store: Store) -> None:
    def reason(tokens: list[int]) -> str | None:
        return store.longest_prefix(NAMESPACE, tokens, chunk_spans(len(tokens), 16)).miss_reason

    tokens = list(range(48))
    assert reason(tokens) == "nothing was kept yet"
    save_all(store, tokens)
    assert reason(tokens) is None
    assert reason([9] * 16) == "nothing kept begins with them"
    assert reason([*tokens[:16], *[9] * 16]) == "tokens from 16 on were not kept"


def test_two_salts_never_share(store: Store) -> None:
    mine, yours = replace(NAMESPACE, salt="mine"), replace(NAMESPACE, salt="yours")
    save_all(store, range(16), mine)
    assert (found(store, range(16), mine), found(store, range(16), yours)) == (16, 0)
    store.pin("m", mine, range(16), [(0, 16)])
    assert not any(b"mine" in path.read_bytes() for path in store.root.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "change", [{"layers": 3}, {"kv_heads": 4}, {"head_dim": 16}, {"codec": "float16"}], ids=lambda c: next(iter(c))
)
def test_tensors_that_are_not_what_the_namespace_says_are_not_kept(store: Store, change: dict[str, int | str]) -> None:
    with pytest.raises(StoreError, match="was not kept"):
        store.save(replace(NAMESPACE, **change), None, range(16), kv(range(16), 0))
    with pytest.raises(StoreError, match="was not kept"):
        store.save(NAMESPACE, None, range(15), kv(range(16), 0))
    assert chunk_files(store) == []


def test_saving_twice_keeps_one_copy(store: Store) -> None:
    tokens = list(range(48))
    assert save_all(store, tokens) == save_all(store, tokens)
    assert len(chunk_files(store)) == 3
    assert store.usage() == sum(p.stat().st_size for p in chunk_files(store))


def test_files_are_for_their_owner_only(store: Store) -> None:
    save_all(store, range(16))
    store.pin("all", NAMESPACE, range(16), [(0, 16)])
    for path in [store.root, *store.root.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


# -- eviction ---------------------------------------------------------------------------------------------------------


def test_eviction_takes_the_oldest_tail_first_and_pinned_sessions_never(store: Store) -> None:
    old, kept, new = ([n] * 48 for n in (1, 2, 3))
    save_all(store, kept)
    assert store.pin("kept", NAMESPACE, kept, chunk_spans(48, 16)).tokens == tuple(kept)
    save_all(store, old)
    save_all(store, new)
    size = store.usage() // 9
    left = []
    for chunks in (8, 7, 6, 5, 0):
        store.evict(chunks * size)
        left.append((found(store, kept), *(_kept(store, tokens) for tokens in (old, new))))
    assert left == [(48, 32, 48), (48, 16, 48), (48, 0, 48), (48, 0, 32), (48, 0, 0)]
    store.remove("kept")
    store.evict(0)
    assert store.usage() == 0
    assert chunk_files(store) == []


def _kept(store: Store, tokens: list[int]) -> int:
    """How much of it is there, without using it."""
    return store.longest_prefix(NAMESPACE, tokens, chunk_spans(len(tokens), 16)).tokens


def test_chunks_that_no_lookup_reaches_are_evicted_first(store: Store) -> None:
    save_all(store, [1] * 16)
    broken = save_all(store, [2] * 64)
    chunk_path(store, broken[1]).unlink()
    store.rebuild()
    assert found(store, [2] * 64) == 16
    size = chunk_path(store, broken[0]).stat().st_size
    store.evict(store.usage() - 2 * size)
    assert {p.stem for p in chunk_files(store)} == {broken[0], *save_all(store, [1] * 16)}


def test_what_was_used_last_is_evicted_last(store: Store) -> None:
    for n in (1, 2, 3):
        save_all(store, [n] * 32)
    assert found(store, [1] * 32) == 32
    store.evict(store.usage() // 3)
    assert [_kept(store, [n] * 32) for n in (1, 2, 3)] == [32, 0, 0]


def test_a_quota_holds_while_saving(store: Store) -> None:
    save_all(store, [7] * 16)
    size = store.usage()
    limited = Store(store.root.parent / "limited", quota_bytes=int(4.5 * size))
    for n in range(6):
        save_all(limited, [n] * 32)
        assert limited.usage() == sum(p.stat().st_size for p in chunk_files(limited)) <= 4.5 * size
    assert [_kept(limited, [n] * 32) > 0 for n in range(6)] == [False] * 4 + [True] * 2
    limited.close()


def test_a_corpus_larger_than_the_quota_keeps_its_beginning_and_never_eats_itself(store: Store) -> None:
    save_all(store, [7] * 16)
    limited = Store(store.root.parent / "limited", quota_bytes=int(3.5 * store.usage()))
    with pytest.raises(StoreFull, match="quota"):
        save_all(limited, [1] * 96)
    assert found(limited, [1] * 96) > 0
    limited.close()


# -- sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_tells_what_it_was_made_of(store: Store) -> None:
    tokens = list(range(40))
    keys = save_all(store, tokens)
    manifest = store.pin("a book/with: any name", NAMESPACE, tokens, chunk_spans(40, 16), pack="digest")
    assert store.sessions() == [manifest]
    assert (manifest.keys, manifest.tokens, manifest.pack) == (tuple(keys), tuple(tokens), "digest")
    assert manifest.namespace == NAMESPACE.record()
    assert manifest.bytes == store.usage()
    before = store.last_use(manifest)
    found(store, tokens)
    assert store.last_use(manifest) > before > manifest.created - 10**10


def test_a_session_that_is_not_kept_cannot_be_pinned(store: Store) -> None:
    save_all(store, [1] * 16)
    with pytest.raises(SessionIncomplete, match="16 of its 32 tokens"):
        store.pin("x", NAMESPACE, [1] * 32, [(0, 16), (16, 32)])
    with pytest.raises(NoSuchSession, match="no session 'x'"):
        store.remove("x")


# -- the catalogue ----------------------------------------------------------------------------------------------------


def _catalogue(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with sqlite3.connect(store.root / "catalog.db") as db:
        tables = ("chunk", "namespace", "session", "session_chunk")
        return {table: sorted(db.execute(f"SELECT * FROM {table}")) for table in tables}


def _fill(store: Store) -> None:
    save_all(store, range(64))
    save_all(store, [*range(32), *[5] * 32])
    save_all(store, [8] * 16, replace(NAMESPACE, salt="s"))
    found(store, range(64))
    store.pin("kept", NAMESPACE, range(64), chunk_spans(64, 16))


def test_rebuilding_from_the_files_gives_the_same_catalogue(store: Store) -> None:
    _fill(store)
    before = _catalogue(store)
    assert len(before["chunk"]) == store.rebuild() == 7
    assert _catalogue(store) == before


@pytest.mark.parametrize("fate", ["lost", "garbage", "of another schema", "damaged inside"])
def test_a_catalogue_that_is_lost_or_damaged_is_made_again_at_the_next_start(store: Store, fate: str) -> None:
    _fill(store)
    before = _catalogue(store)
    store.close()
    path = store.root / "catalog.db"
    if fate == "of another schema":
        with sqlite3.connect(path) as db:
            db.execute("DROP TABLE session")
            db.execute("UPDATE catalogue SET version = 1")
    elif fate == "damaged inside":
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        data = bytearray(path.read_bytes())
        data[4096:12288] = b"\xa5" * 8192
        path.write_bytes(data)
    else:
        path.unlink()
        if fate == "garbage":
            path.write_bytes(b"this is no database" * 500)
    again = Store(store.root)
    assert _catalogue(again) == before
    assert found(again, range(64)) == 64
    again.close()


def test_what_a_crash_set_apart_is_put_right_at_the_next_start(store: Store) -> None:
    keys = save_all(store, range(48))
    store.close()
    with sqlite3.connect(store.root / "catalog.db") as db:
        db.execute("DELETE FROM chunk WHERE key = ?", [keys[0]])  # killed before the row
    chunk_path(store, keys[2]).unlink()  # killed while evicting
    (store.root / "chunks" / keys[1][:2] / ".0123456789abcdef.tmp").write_bytes(b"half a chunk")
    again = Store(store.root)
    assert again.usage() == sum(p.stat().st_size for p in chunk_files(again))
    assert [row[0] for row in _catalogue(again)["chunk"]] == sorted(keys[:2])
    assert not list(Path(store.root).rglob("*.tmp"))
    again.close()
