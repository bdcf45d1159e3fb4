"""The session store: what comes back is what was saved, or nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.errors import CorruptChunk, StoreError
from engine.prefill import chunk_spans
from engine.store import Namespace, Store
from engine.store import segment as chunk_file
from engine.store.segment import Segment

NAMESPACE = Namespace(
    model="tiny",
    weights="w",
    tokenizer="t",
    rope="r",
    dtype="bfloat16",
    layers=2,
    kv_heads=3,
    head_dim=8,
    codec="bfloat16",
    policy="dense",
    policy_parameters=(),
    chunk_tokens=16,
    numerics=1,
)
Layers = list[tuple[torch.Tensor, torch.Tensor]]


def kv(tokens: int, seed: int = 0, dtype: torch.dtype = torch.bfloat16) -> Layers:
    made = torch.Generator().manual_seed(seed)
    return [tuple(torch.randn(3, tokens, 8, generator=made).to(dtype) for _ in "kv") for _ in range(2)]  # type: ignore[misc]


def save_all(store: Store, tokens: list[int], namespace: Namespace = NAMESPACE, seed: int = 0) -> list[str]:
    keys: list[str] = []
    for start, end in chunk_spans(len(tokens), namespace.chunk_tokens):
        parent = keys[-1] if keys else None
        keys.append(store.save(namespace, parent, tokens[start:end], kv(end - start, seed + start)))
    return keys


def found(store: Store, tokens: list[int], namespace: Namespace = NAMESPACE) -> int:
    spans = chunk_spans(len(tokens), namespace.chunk_tokens)
    return sum(chunk.tokens for chunk in store.load(store.longest_prefix(namespace, tokens, spans)))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store")
    yield opened
    opened.close()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("tokens", [1, 17, 1000])
def test_restored_kv_is_bit_identical(store: Store, dtype: torch.dtype, tokens: int) -> None:
    layers, ids = kv(tokens, dtype=dtype), list(range(tokens))
    store.save(NAMESPACE, None, ids, layers)
    (chunk,) = store.load(store.longest_prefix(NAMESPACE, ids, [(0, tokens)]))
    for (keys, values), k, v in zip(layers, chunk.keys, chunk.values, strict=True):
        assert k.dtype == dtype
        assert torch.equal(k, keys)
        assert torch.equal(v, values)


def test_a_prefix_is_found_up_to_the_first_token_that_differs(store: Store) -> None:
    tokens = list(range(40))
    save_all(store, tokens)
    assert found(store, tokens) == 40
    assert found(store, [*tokens[:20], 99, *tokens[21:]]) == 16
    assert found(store, [99, *tokens[1:]]) == 0
    assert found(store, [*tokens, 1, 2, 3]) == 32  # the last, partial chunk belongs to 40 tokens exactly


@pytest.mark.parametrize("field", [f for f in NAMESPACE.record() if f not in ("policy_parameters",)])
def test_any_field_of_the_namespace_that_differs_is_a_miss_that_names_it(store: Store, field: str) -> None:
    tokens = list(range(32))
    save_all(store, tokens)
    value = getattr(NAMESPACE, field)
    other = replace(NAMESPACE, **{field: value + 1 if isinstance(value, int) else value + "x"})
    prefix = store.longest_prefix(other, tokens, [(0, 16), (16, 32)])
    assert prefix.tokens == 0
    assert prefix.miss_reason is not None
    assert field in prefix.miss_reason


def test_a_flipped_byte_anywhere_is_never_loaded(tmp_path: Path) -> None:
    tokens = list(range(16))
    layers = kv(16)
    rng = random.Random(5)
    first = Store(tmp_path / "first")
    key = save_all(first, tokens)[0]
    path = first._path(key)
    good = path.read_bytes()
    segment = Segment.open(path)
    last_used = segment.layers[-1][0] + segment.layer_bytes
    header_end = chunk_file.PREAMBLE + int.from_bytes(good[8:16], "little")
    used = [*range(header_end), *(o + i for o, _ in segment.layers for i in range(segment.layer_bytes))]
    assert last_used == len(good)
    wrong = 0
    for at in [0, 7, 8, 15, 16, 31, 32, *rng.sample(used, 150)]:
        flipped = bytearray(good)
        flipped[at] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        for chunk in first.load(first.longest_prefix(NAMESPACE, tokens, [(0, 16)])):
            wrong += not all(torch.equal(k, want) for k, (want, _) in zip(chunk.keys, layers, strict=True))
            wrong += 1  # a changed byte that is used must not pass at all
        assert not path.exists(), at  # it was set aside
    assert wrong == 0
    assert len(list((tmp_path / "first" / "quarantine").iterdir())) == 1
    first.close()


def test_a_damaged_chunk_leaves_the_verified_prefix_before_it(store: Store) -> None:
    tokens = list(range(64))
    keys = save_all(store, tokens)
    path = store._path(keys[2])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert found(store, tokens) == 32
    assert found(store, tokens) == 32
    save_all(store, tokens)
    assert found(store, tokens) == 64


@pytest.mark.parametrize("cut", [0, 10, 40, 5000, -1])
def test_a_truncated_chunk_is_refused(store: Store, cut: int) -> None:
    key = save_all(store, list(range(16)))[0]
    path = store._path(key)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CorruptChunk):
        Segment.open(path)
    assert found(store, list(range(16))) == 0


def test_a_chunk_under_another_chunks_name_is_not_believed(store: Store) -> None:
    one, two = save_all(store, [1] * 16)[0], save_all(store, [2] * 16)[0]
    store._path(one).write_bytes(store._path(two).read_bytes())
    assert found(store, [1] * 16) == 0


def test_saving_twice_keeps_one_copy(store: Store) -> None:
    tokens = list(range(48))
    assert save_all(store, tokens) == save_all(store, tokens)
    assert len(list(store.root.glob("chunks/*/*.kv"))) == 3
    assert store.usage() == sum(p.stat().st_size for p in store.root.glob("chunks/*/*.kv"))


def test_files_are_for_their_owner_only(store: Store) -> None:
    key = save_all(store, list(range(16)))[0]
    assert store._path(key).stat().st_mode & 0o777 == 0o600
    assert (store.root / "catalog.db").stat().st_mode & 0o777 == 0o600
    assert store.root.stat().st_mode & 0o777 == 0o700


def test_eviction_takes_the_oldest_tail_first_and_pinned_sessions_never(store: Store) -> None:
    old, kept, new = ([n] * 48 for n in (1, 2, 3))
    save_all(store, kept)
    spans = chunk_spans(48, 16)
    assert store.pin("kept", NAMESPACE, kept, spans).tokens == 48
    save_all(store, old)
    time.sleep(0.01)
    save_all(store, new)
    size = store.usage() // 9
    store.evict(8 * size)
    assert (found(store, old), found(store, new), found(store, kept)) == (32, 48, 48)
    store.evict(0)
    assert (found(store, old), found(store, new), found(store, kept)) == (0, 0, 48)
    store.remove("kept")
    store.evict(0)
    assert store.usage() == 0


def test_a_quota_holds_while_saving(tmp_path: Path) -> None:
    probe = Store(tmp_path / "probe")
    save_all(probe, list(range(16)))
    size = probe.usage()
    limited = Store(tmp_path / "limited", quota_bytes=int(3.5 * size))
    for n in range(6):
        save_all(limited, [n] * 16)
        assert limited.usage() <= 3.5 * size
    assert found(limited, [5] * 16) == 16
    assert found(limited, [0] * 16) == 0


def test_the_catalogue_can_be_made_again_from_the_files(store: Store) -> None:
    tokens = list(range(64))
    save_all(store, tokens)
    before = store.usage()
    store.close()
    for leftover in store.root.glob("catalog.db*"):
        leftover.unlink()
    again = Store(store.root)
    assert again.usage() == 0
    assert again.rebuild() == 4
    assert again.usage() == before
    assert found(again, tokens) == 64
    again.close()


def test_verify_finds_what_rotted_and_sets_it_aside(store: Store) -> None:
    keys = save_all(store, list(range(64)))
    path = store._path(keys[1])
    data = bytearray(path.read_bytes())
    data[-3] ^= 16
    path.write_bytes(data)
    (line,) = store.verify()
    assert keys[1][:16] in line
    assert store.verify() == []


def test_a_disk_that_is_full_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    program = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.engine.store.test_store import NAMESPACE, kv
from engine.errors import StoreError
from engine.store import Store
store = Store(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    store.save(NAMESPACE, None, list(range(2000)), kv(2000))
except StoreError as error:
    print("refused:", error)
"""
    root = Path(__file__).parents[3]
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "s"), str(root)], capture_output=True, text=True, check=True
    )
    assert "could not be written" in run.stdout
    assert [p for p in (tmp_path / "s" / "chunks").rglob("*") if p.is_file()] == []


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.engine.store.test_store import save_all
from engine.store import Store
store = Store(Path(sys.argv[1]))
print("go", flush=True)
for n in range(int(sys.argv[3]), 10**6):
    save_all(store, [n] * 64, seed=n)
    print(n, flush=True)
"""


def _writer(root: Path, first: int) -> subprocess.Popen[str]:
    here = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", WRITER, str(root), here, str(first)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("kills", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_a_writer_killed_at_any_moment_leaves_nothing_partial_and_nothing_wrong(tmp_path: Path, kills: int) -> None:
    rng, done = random.Random(3), 0
    root = tmp_path / "store"
    for _ in range(kills):
        child = _writer(root, done)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.3))
        os.kill(child.pid, signal.SIGKILL)
        lines = child.stdout.read().split()
        child.wait()
        done = int(lines[-1]) + 1 if lines else done
    store = Store(root)
    assert store.verify() == []  # every file under its final name is whole
    for n in range(done):
        assert found(store, [n] * 64) == 64  # what was reported saved is there
        chunk = next(iter(store.load(store.longest_prefix(NAMESPACE, [n] * 16, [(0, 16)]))))
        assert torch.equal(chunk.keys[0], kv(16, n)[0][0])
    store.rebuild()
    assert list(root.glob("chunks/*/.*.tmp")) == []
    store.close()


def test_two_processes_saving_the_same_corpus_make_one_copy(tmp_path: Path) -> None:
    root = tmp_path / "store"
    children = [_writer(root, 0) for _ in range(2)]
    for child in children:
        assert child.stdout is not None
        for line in child.stdout:
            if line.strip() == "10":
                break
    for child in children:
        child.kill()
        child.communicate()
    store = Store(root)
    assert store.verify() == []
    assert all(found(store, [n] * 64) == 64 for n in range(10))
    store.close()


def test_a_session_that_is_not_kept_cannot_be_pinned(store: Store) -> None:
    with pytest.raises(StoreError, match="cannot be pinned"):
        store.pin("x", NAMESPACE, [1, 2, 3], [(0, 3)])
    with pytest.raises(StoreError, match="no session"):
        store.remove("x")
