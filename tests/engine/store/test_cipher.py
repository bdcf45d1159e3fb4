"""A store with a key: nothing in its files can be read or changed without it."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.engine import Engine
from engine.models.model import LanguageModel
from engine.prefill.spans import chunk_spans
from engine.store import Store, export_session, import_session
from engine.store.errors import BadKey, NotImportable, WrongKey
from engine.store.restore import Restorer
from tests.engine.store.samples import NAMESPACE, chunk_files, flip, found, kv, save_all

KEY, OTHER = "0123456789abcdef" * 4, "f" * 64
SPANS = chunk_spans(100, 16)


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "secret", key=KEY)
    yield opened
    opened.close()


def test_what_was_encrypted_comes_back_bit_for_bit_after_a_restart(secret: Store) -> None:
    keys = save_all(secret, range(100))
    secret.save_later(NAMESPACE, None, [7] * 16, kv([7] * 16, 0))
    secret.close()
    again = Store(secret.root, key=KEY.upper() + "\n")
    assert [segment.key for segment in again.longest_prefix(NAMESPACE, range(100), SPANS).segments] == keys
    assert (found(again, range(100)), found(again, [7] * 16)) == (100, 16)
    assert again.verify() == []
    again.close()


@pytest.mark.parametrize("buffer_bytes", [16, 100, 1000])
def test_a_layer_is_decrypted_in_runs_of_any_length(secret: Store, buffer_bytes: int) -> None:
    save_all(secret, range(100))
    secret._lookup.restorer = Restorer(buffer_bytes=buffer_bytes)
    assert found(secret, range(100)) == 100


def test_no_file_of_chunks_and_sessions_shows_kv_tokens_or_names(secret: Store, tmp_path: Path) -> None:
    tokens = [40_000 + n for n in range(100)]
    save_all(secret, tokens)
    secret.pin("a very private diary", NAMESPACE, tokens, SPANS)
    export_session(secret, "a very private diary", tmp_path / "exported")
    in_session_files = base64.b64encode(np.asarray(tokens[:6], dtype="<u4").tobytes())
    telling = [b"40007", b"tokens", b"namespace", b"tiny", b"diary", in_session_files]
    telling += [_bytes(tensor)[:16] for pair in kv(tokens[:16], 0) for tensor in pair]
    plain = Store(tmp_path / "plain")
    shown_plainly = plain.chunk_path(save_all(plain, tokens)[0]).read_bytes() + _session(plain, tokens)
    assert all(shown in shown_plainly for shown in telling)
    plain.close()
    files = [*chunk_files(secret), *(secret.root / "sessions").iterdir(), tmp_path / "exported"]
    assert len(files) == 9
    for path in files:
        data = path.read_bytes()
        assert not [shown for shown in telling if shown in data], path


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def _session(store: Store, tokens: list[int]) -> bytes:
    return store.pin("diary", NAMESPACE, tokens, SPANS).dump()


def test_the_same_states_are_encrypted_differently_each_time(secret: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other", key=KEY)
    for store in (secret, other):
        save_all(store, range(16))
    one, two = (chunk_files(store)[0].read_bytes() for store in (secret, other))
    assert len(one) == len(two)
    assert sum(a == b for a, b in zip(one[32:], two[32:], strict=True)) < len(one) / 100
    other.close()


def test_a_bit_changed_anywhere_is_a_miss(secret: Store) -> None:
    rng, (key,) = random.Random(2), save_all(secret, range(16))
    path = secret.chunk_path(key)
    good, tried = path.read_bytes(), 0
    for at in [*range(48), *(rng.randrange(48, len(good)) for _ in range(60)), len(good) - 1]:
        flip(path, at, rng.randrange(8))
        assert found(secret, range(16)) == 0, at
        assert not path.exists()
        path.write_bytes(good)
        tried += 1
    assert found(secret, range(16)) == 16
    assert tried == 109


def test_layers_and_files_exchanged_for_each_other_are_a_miss(secret: Store) -> None:
    one, two = (secret.chunk_path(save_all(secret, [n] * 16)[0]) for n in (1, 2))
    segment, data = secret._chunks.open(one.stem), bytearray(one.read_bytes())
    places = [slice(segment.payload + p.offset, segment.payload + p.offset + p.length) for p in segment.layers]
    data[places[0]], data[places[1]] = data[places[1]], data[places[0]]
    one.write_bytes(data)
    assert found(secret, [1] * 16) == 0
    save_all(secret, [1] * 16)
    one.write_bytes(two.read_bytes())
    assert found(secret, [1] * 16) == 0


def test_a_session_file_that_was_changed_is_set_aside(secret: Store) -> None:
    save_all(secret, range(100))
    manifest = secret.pin("diary", NAMESPACE, range(100), SPANS)
    assert secret.sessions() == [manifest]
    flip(next(secret.root.glob("sessions/*")), 60)
    assert secret.sessions() == []


@pytest.mark.parametrize(
    ("key", "says"), [("", "is encrypted: set OMNIBUS_STORE_KEY"), (OTHER, "is encrypted with another key")]
)
def test_the_wrong_key_is_a_clear_error_and_harms_nothing(secret: Store, key: str, says: str) -> None:
    save_all(secret, range(100))
    with pytest.raises(WrongKey, match=says):
        Store(secret.root, key=key)
    assert secret.verify() == []
    assert found(secret, range(100)) == 100


def test_a_key_for_a_store_begun_without_one_is_a_clear_error(store: Store) -> None:
    save_all(store, range(16))
    (store.root / "store.json").unlink()  # as of a store older than keys
    with pytest.raises(WrongKey, match="begun without encryption"):
        Store(store.root, key=KEY)
    assert found(store, range(16)) == 16


@pytest.mark.parametrize("key", ["secret", "0" * 63, "g" * 64])
def test_what_is_no_key_is_refused_with_how_to_make_one(tmp_path: Path, key: str) -> None:
    with pytest.raises(BadKey, match="openssl rand -hex 32"):
        Store(tmp_path / "store", key=key)


def test_an_exported_session_needs_the_same_key(secret: Store, tmp_path: Path) -> None:
    save_all(secret, range(100))
    secret.pin("diary", NAMESPACE, range(100), SPANS)
    export_session(secret, "diary", tmp_path / "diary")
    same, other = Store(tmp_path / "same", key=KEY), Store(tmp_path / "other", key=OTHER)
    assert import_session(same, tmp_path / "diary", NAMESPACE).name == "diary"
    assert found(same, range(100)) == 100
    with pytest.raises(NotImportable, match="not encrypted with this key"):
        import_session(other, tmp_path / "diary", NAMESPACE)
    assert chunk_files(other) == []
    same.close()
    other.close()


def test_file_names_of_two_keys_have_nothing_in_common(
    default_language_model: LanguageModel, secret: Store, store: Store
) -> None:
    ids = default_language_model.encode("Nobody needs to know that this was read. " * 8)[:64]
    for where in (secret, store):
        engine = Engine(default_language_model, store=where, chunk_tokens=32)
        engine.context(ids)
        assert engine.context(ids).stats.cached_tokens == 64
    names = [{path.name for path in chunk_files(where)} for where in (secret, store)]
    assert len(names[0]) == len(names[1]) == 2
    assert names[0].isdisjoint(names[1])
