"""Any order of saves, loads, edits, damage, evictions, kills, crashes and opens, against a model of a few lines."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.prefill.spans import chunk_spans
from engine.store import Store
from engine.store.errors import SessionIncomplete
from engine.store.namespace import chain_keys
from tests.engine.store.samples import NAMESPACE, chunk_files, chunk_path, flip, found, kv, leftovers, started
from tests.engine.store.test_kills import save_and_die

Chain = tuple[int, ...]
CORPORA: tuple[Chain, ...] = ((1, 2, 3), (1, 2, 4), (1, 5), (6,), (6, 6, 6, 6))
"""Contexts as chunks of one repeated token; some begin alike."""

corpora = st.integers(0, 11)
"""Which of the corpora there are by then."""


def tokens_of(chain: Chain) -> list[int]:
    return [token for token in chain for _ in range(16)]


def spans_of(chain: Chain) -> list[tuple[int, int]]:
    return chunk_spans(16 * len(chain), 16)


class StoreMachine(RuleBasedStateMachine):
    """The model: which chains are kept, which of them are damaged on disk, which corpora are pinned."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.stores = [Store(self.root / "store"), Store(self.root / "store")]  # as two processes would have it
        self.corpora = list(CORPORA)
        self.keys: dict[Chain, str] = {}
        self.kept: set[Chain] = set()
        self.damaged: set[Chain] = set()
        self.pinned: set[Chain] = set()

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        shutil.rmtree(self.root)

    def corpus(self, n: int) -> Chain:
        return self.corpora[n % len(self.corpora)]

    def path(self, chain: Chain) -> Path:
        return chunk_path(self.stores[0], self.keys[chain])

    @rule(who=st.integers(0, 1), n=corpora, upto=st.integers(1, 4), later=st.booleans())
    def save(self, who: int, n: int, upto: int, later: bool) -> None:
        corpus = self.corpus(n)
        parent, save = None, self.stores[who].save_later if later else self.stores[who].save
        for i in range(min(upto, len(corpus))):
            chain, tokens = corpus[: i + 1], tokens_of(corpus[: i + 1])
            parent = save(NAMESPACE, parent, tokens[-16:], kv(tokens, len(tokens) - 16))
            self.keys[chain] = parent
            self.kept.add(chain)  # what is kept and damaged stays so: only reading tells
        self.stores[who].flush()

    @rule(who=st.integers(0, 1), n=corpora)
    def load(self, who: int, n: int) -> None:
        corpus, expected = self.corpus(n), 0
        for i in range(len(corpus)):
            chain = corpus[: i + 1]
            if chain not in self.kept:
                break
            if chain in self.damaged:
                self.kept.discard(chain)
                self.damaged.discard(chain)
                break
            expected += 16
        assert found(self.stores[who], tokens_of(corpus)) == expected

    @rule(n=corpora, at=st.integers(0, 3), to=st.integers(7, 8))
    def edit(self, n: int, at: int, to: int) -> None:
        """One document of a corpus changes: what stands behind it is another chain."""
        corpus = self.corpus(n)
        at %= len(corpus)
        edited = (*corpus[:at], to, *corpus[at + 1 :])
        if edited not in self.corpora:
            self.corpora.append(edited)

    @rule(who=st.integers(0, 1), n=corpora, upto=st.integers(1, 4), call=st.integers(1, 700))
    def kill(self, who: int, n: int, upto: int, call: int) -> None:
        """Another process saves and is killed at one of its calls; a store opened after it finds all in order."""
        corpus = self.corpus(n)[:upto]
        child, _ = started(save_and_die, self.stores[0].root, tokens_of(corpus), call)
        child.join()
        self.stores[who].close()
        self.stores[who] = Store(self.stores[0].root)  # while the other stays open
        there = {p.stem for p in chunk_files(self.stores[0])}
        chains = [corpus[: i + 1] for i in range(len(corpus))]
        self.keys.update(zip(chains, chain_keys(NAMESPACE.digest, tokens_of(corpus), spans_of(corpus)), strict=True))
        saved = [self.keys[chain] in there for chain in chains]
        assert saved == sorted(saved, reverse=True)  # in order
        assert all(self.keys[chain] in there for chain in self.kept)
        self.kept.update(chain for chain, is_there in zip(chains, saved, strict=True) if is_there)

    @precondition(lambda self: self.kept - self.damaged)
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        chain = data.draw(st.sampled_from(sorted(self.kept - self.damaged)))
        path = self.path(chain)
        flip(path, data.draw(st.integers(8192, path.stat().st_size - 1)), data.draw(st.integers(0, 7)))
        self.damaged.add(chain)

    @rule(who=st.integers(0, 1))
    def verify(self, who: int) -> None:
        rotten = [line for line in self.stores[who].verify() if "damaged" in line]
        assert len(rotten) == len(self.damaged)
        self.kept -= self.damaged
        self.damaged.clear()

    @rule(who=st.integers(0, 1), share=st.sampled_from([0.0, 0.4, 0.8]))
    def evict(self, who: int, share: float) -> None:
        store = self.stores[who]
        quota = int(share * store.usage())
        before = set(self.kept)
        store.evict(quota)
        self.kept = {chain for chain in before if self.is_there(chain)}
        self.damaged &= self.kept
        held = {corpus[: i + 1] for corpus in self.pinned for i in range(len(corpus))}
        assert held & before <= self.kept
        for gone in before - self.kept:  # tail first: nothing stays behind a chunk that went
            assert not any(len(chain) > len(gone) and chain[: len(gone)] == gone for chain in self.kept)
        assert store.usage() <= quota or self.kept <= self.ancestors(held & before)

    def is_there(self, chain: Chain) -> bool:
        return any(p.stem == self.keys[chain] for p in chunk_files(self.stores[0]))

    def ancestors(self, chains: set[Chain]) -> set[Chain]:
        return {chain[:n] for chain in chains for n in range(1, len(chain) + 1)}

    @rule(who=st.integers(0, 1), n=corpora)
    def pin(self, who: int, n: int) -> None:
        corpus = self.corpus(n)
        tokens = tokens_of(corpus)
        whole = all(corpus[: i + 1] in self.kept for i in range(len(corpus)))
        try:
            self.stores[who].pin(str(corpus), NAMESPACE, tokens, spans_of(corpus))
        except SessionIncomplete:
            assert not whole
        else:
            assert whole
            self.pinned.add(corpus)

    @precondition(lambda self: self.pinned)
    @rule(who=st.integers(0, 1), data=st.data())
    def remove(self, who: int, data: st.DataObject) -> None:
        corpus = data.draw(st.sampled_from(sorted(self.pinned)))
        self.stores[who].remove(str(corpus))
        self.pinned.discard(corpus)

    @rule(who=st.integers(0, 1))
    def rebuild(self, who: int) -> None:
        assert self.stores[who].rebuild() == len(self.kept)

    @rule(lose_catalogue=st.booleans())
    def crash(self, lose_catalogue: bool) -> None:
        """All processes end in the middle of a write, and perhaps the catalogue is lost with them."""
        for store in self.stores:
            store.close()
        root = self.stores[0].root
        for folder in (root / "sessions", *(root / "chunks").iterdir()):
            (folder / ".0123456789abcdef.tmp").write_bytes(b"half")
        if lose_catalogue:
            for path in root.glob("catalog.db*"):
                path.unlink()
        self.stores = [Store(root), Store(root)]
        assert leftovers(root) == []

    @invariant()
    def the_catalogue_is_what_the_files_are(self) -> None:
        files = chunk_files(self.stores[0])
        assert {p.stem for p in files} == {self.keys[chain] for chain in self.kept}
        for store in self.stores:
            assert store.usage() == sum(p.stat().st_size for p in files)
            assert {m.name for m in store.sessions()} == {str(corpus) for corpus in self.pinned}


class LongMachine(StoreMachine):
    """The same, for longer."""


SETTINGS = settings(max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
StoreMachine.TestCase.settings = SETTINGS
LongMachine.TestCase.settings = settings(SETTINGS, max_examples=200)


class TestStoreMachine(StoreMachine.TestCase):
    """Whatever happens in whatever order, what comes back is what was saved, or nothing."""


@pytest.mark.slow
class TestLongMachine(LongMachine.TestCase):
    """The same 200 times."""
