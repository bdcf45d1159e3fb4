"""The session store on this machine: codecs, saving behind the answer, restoring beside reading and recomputing.

    python -m tests.benchmarks.store [--tokens 8000] [--rounds 9] [--prefills 2] [--out FILE]

On the default model (CPU). Rates are medians, shares medians of the rounds' own; reading and restoring take turns over
the same files, cold (dropped from the page cache before) and warm. `fresh` restores into memory just allocated, as an
engine does; `reused` into memory that was written before. Exits with 1 where restoring reaches less than 80 % of the
sequential read rate (raw, cold, reused), or takes as long as computing. On a busy machine only figures of the same run
can be compared: the load stands in the JSON.

Restoring into a GPU is measured by tests/benchmarks/restore.py.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from engine.context import Context
from engine.engine import Engine
from engine.models.layers import run_layers
from engine.models.model import LanguageModel
from engine.prefill.attention import Attending
from engine.prefill.spans import chunk_spans
from engine.store import Namespace, Store
from engine.store.codecs import NAMES, codec
from tests.benchmarks.cpu_engine import ROOT, machine

FLOOR = 0.8
"""Least share of the sequential read rate."""
ASKED = 256
"""Tokens behind the context whose predictions are compared."""


def main() -> None:
    """Measure, print, write JSON, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=8000 - ASKED)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--prefills", type=int, default=2)
    parser.add_argument("--home", type=Path, default=ROOT / ".cache" / "omnibus")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    before = os.getloadavg()[0]
    model = LanguageModel.load("default", home=options.home)
    text = "".join(path.read_text() for path in sorted((ROOT / "engine").rglob("*.py")))
    ids = model.encode(text)[: options.tokens + ASKED]
    about: dict[str, Any] = {**machine(model), "tokens": options.tokens}
    about["command"] = about["command"].replace("cpu_engine", "store")
    with tempfile.TemporaryDirectory(dir=options.home) as folder:
        bench = Bench(model, ids, Path(folder), options.rounds)
        saving = show("saving", bench.saving(options.prefills))
        rows = [*saving, *show("codecs", bench.codecs())]
        rows += show("lossless, on one layer's raw keys and values", bench.lossless())
        rows += (restoring := show("restoring", bench.restoring()))
    about["load"] = [before, os.getloadavg()[0]]
    if options.out:
        options.out.write_text(json.dumps({"environment": about, "rows": rows}, indent=1) + "\n")
    raw, computed = restoring[0], saving[0]["seconds"]
    print(f"restoring takes {raw['seconds_fresh_cold']:.2f} s, computing {computed:.2f} s")
    sys.exit(int(raw["share_reused_cold"] < FLOOR or raw["seconds_fresh_cold"] >= computed))


class Bench:
    """One model, one text, stores in a folder."""

    def __init__(self, model: LanguageModel, ids: list[int], folder: Path, rounds: int) -> None:
        self.model, self.folder, self.rounds = model, folder, rounds
        self.prefix, self.asked = ids[:-ASKED], ids[-ASKED:]
        self.context: Context = Engine(model).context(self.prefix, save=False)
        self.expected = self.predictions(self.context)

    def saving(self, prefills: int) -> Iterator[dict[str, Any]]:
        """What saving adds to a prefill: nothing saved, at once, behind; and each alone, without the prefill."""
        engine = Engine(self.model)
        times: dict[str, list[float]] = {"nothing saved": [], "saved behind": []}
        for n in range(prefills):
            times["nothing saved"].append(timed(lambda: engine.context(self.prefix, save=False)))
            store = Store(self.folder / f"behind {n}")
            saving = Engine(self.model, store=store)
            times["saved behind"].append(timed(lambda e=saving: e.context(self.prefix)))  # type: ignore[misc]
            store.close()
        for what, taken in times.items():
            yield {"what": f"prefill, {what}", "seconds": statistics.median(taken), "times": taken}
        namespace = engine.namespace
        at_once, behind_calls, drained = [], [], []
        for n in range(self.rounds):
            store = Store(self.folder / f"alone {n}")
            at_once.append(timed(lambda s=store: self.put(s.save, namespace)))  # type: ignore[misc]
            store.close()
            store = Store(self.folder / f"alone behind {n}")
            behind_calls.append(timed(lambda s=store: self.put(s.save_later, namespace)))  # type: ignore[misc]
            drained.append(timed(store.flush))
            store.close()
        yield {"what": "all chunks saved at once", "seconds": statistics.median(at_once), "times": at_once}
        behind = {"what": "all chunks handed over", "seconds": statistics.median(behind_calls), "times": behind_calls}
        yield {**behind, "then in the background": statistics.median(drained)}

    def codecs(self) -> Iterator[dict[str, Any]]:
        """Bytes a token beside what theory asks, error on real states, and what the model then says."""
        f, span = self.model.fingerprint, self.context.cache.span(0, len(self.prefix))
        values = 2 * f.layers * f.kv_heads * f.head_dim
        for name in NAMES:
            namespace = self.namespace(name)
            store = Store(self.folder / name)
            context = self.copy()
            seconds = timed(lambda s=store, n=namespace, c=context: self.put(s.save, n, c))  # type: ignore[misc]
            how = codec(namespace.codec)
            errors = [
                float((back.float() - x.float()).norm() / x.float().norm())
                for pair, got in zip(span, context.cache.span(0, len(self.prefix)), strict=True)
                for x, back in zip(pair, got, strict=True)
            ]
            says = self.predictions(context)
            yield {
                "what": "codec",
                "codec": name,
                "bytes_per_token": store.usage() / len(self.prefix),
                "theory": values * how.row_bytes(f.head_dim) / f.head_dim,
                "without scales": values * {"raw": self.model.dtype.itemsize, "int4": 0.5}.get(name, 1.0),
                "relative_error": statistics.mean(errors),
                "divergence": float(F.kl_div(says, self.expected, log_target=True, reduction="batchmean")),
                "same_next_token": float((says.argmax(-1) == self.expected.argmax(-1)).float().mean()),
                "save_seconds": seconds,
            }
            store.close()

    def lossless(self) -> Iterator[dict[str, Any]]:
        """What general compression would save of raw states, plain and with like bytes beside each other."""
        import zlib

        keys, values = self.context.cache.span(0, len(self.prefix))[len(self.context.cache.layers) // 2]
        plain = torch.stack((keys, values)).contiguous().view(torch.uint8).view(-1)
        shuffled = plain.view(-1, self.model.dtype.itemsize).t().contiguous()
        for layout, data in (("as it is", plain), ("bytes shuffled", shuffled)):
            raw = data.numpy().tobytes()
            packed = zlib.compress(raw, 1)
            seconds = timed(lambda p=packed: zlib.decompress(p))  # type: ignore[misc]
            yield {
                "what": "lossless",
                "layout": layout,
                "ratio": len(raw) / len(packed),
                "unpack_gb_s": len(raw) / seconds / 1e9,
            }

    def restoring(self) -> Iterator[dict[str, Any]]:
        """Each codec's files read from end to end, and restored."""
        for name in NAMES:
            namespace, store = self.namespace(name), Store(self.folder / name)
            files = sorted(store.root.glob("chunks/*/*.kv"))
            size = sum(path.stat().st_size for path in files)
            prefix = store.longest_prefix(namespace, self.prefix, self.spans)
            used = self.copy().cache.span(0, len(self.prefix))
            row: dict[str, Any] = {"what": "restored", "codec": name, "bytes": size}
            for state in ("cold", "warm"):
                times: dict[str, list[float]] = {"read": [], "reused": [], "fresh": []}
                for _ in range(self.rounds):
                    for what, taken in times.items():
                        fresh = self.model.new_cache(len(self.prefix)).span(0, len(self.prefix))
                        for path in files if state == "cold" else ():
                            drop(path)
                        if what == "read":
                            taken.append(timed(lambda f=files: read(f)))  # type: ignore[misc]
                        else:
                            to = used if what == "reused" else fresh
                            taken.append(timed(lambda s=store, p=prefix, t=to: s.restore(p, t)))  # type: ignore[misc]
                for what, taken in times.items():
                    row[f"{what}_gb_s_{state}"] = size / statistics.median(taken) / 1e9
                for what in ("reused", "fresh"):
                    shares = [a / b for a, b in zip(times["read"], times[what], strict=True)]
                    row[f"share_{what}_{state}"] = statistics.median(shares)
                row[f"seconds_fresh_{state}"] = statistics.median(times["fresh"])
            yield row
            store.close()

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The prefix's chunks."""
        return chunk_spans(len(self.prefix), Engine(self.model).chunk_tokens)

    def namespace(self, name: str) -> Namespace:
        """The namespace of a codec."""
        return Engine(self.model, codec=name).namespace

    def put(self, save: Callable[..., str], namespace: Namespace, context: Context | None = None) -> None:
        """Save the whole context, chunk by chunk."""
        cache, parent = (context or self.context).cache, None
        for start, end in self.spans:
            parent = save(namespace, parent, self.prefix[start:end], cache.span(start, end))

    def copy(self) -> Context:
        """The context with states of its own."""
        n, cache = len(self.prefix), self.model.new_cache(len(self.prefix) + ASKED)
        for mine, theirs in zip(cache.span(0, n), self.context.cache.span(0, n), strict=True):
            mine[0].copy_(theirs[0])
            mine[1].copy_(theirs[1])
        cache.fill(n)
        return Context(self.prefix, cache, self.context.stats)

    @torch.inference_mode()
    def predictions(self, context: Context) -> torch.Tensor:
        """Log-probabilities [ASKED, vocab] of what follows each token asked, behind the context."""
        decoder, cache, base = self.model.decoder, context.cache, len(self.prefix)
        positions = torch.arange(base, base + ASKED)[None]
        attends = Attending(Engine(self.model).policy)
        hidden = run_layers(decoder, torch.tensor(self.asked)[None], positions, cache, attends)
        cache.truncate(base)
        normed = decoder.norm(hidden)
        return torch.stack([self.model.logits(normed[:, i : i + 1]) for i in range(ASKED)]).float().log_softmax(-1)


def read(files: list[Path]) -> None:
    """Read files from end to end into one buffer."""
    buffer = bytearray(8 << 20)
    for path in files:
        with path.open("rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass


def drop(path: Path) -> None:
    """Have the system forget a file's pages."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(work: Callable[[], Any]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def show(title: str, rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Print rows as they come."""
    print(title)
    kept = []
    for row in rows:
        cells = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items() if k != "times")
        print("   " + ", ".join(cells), flush=True)
        kept.append(row)
    return kept


if __name__ == "__main__":
    main()
