"""Restoring kept KV into a GPU: is it right, how fast, what bounds it: `python -m tests.benchmarks.restore --out FILE`.

Random states of a known shape are written to chunk files as the store writes them, raw and as fp8, and come back from
the page cache. First every setting restores them into places that hold something else, and every bit is compared; one
that is wrong ends the run. Then rates: by threads, buffer and ring, beside the earlier way (one stream for all, each
copy waited for), and each part alone: reading, reading and checking, copying from pinned memory, unpacking on the
device. Last the prefill that a restore saves, of the same shape, at 3 % of the blocks. Needs no database.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from engine.prefill.spans import chunk_spans
from engine.store import restore
from engine.store.draft import Draft
from engine.store.files import open_file
from engine.store.lane import Lane
from engine.store.namespace import Namespace, chain_keys
from engine.store.restore import Restorer
from engine.store.segment import Segment
from tests.benchmarks.report import show, write
from tests.benchmarks.shapes import SHAPES

Row = dict[str, Any]
Pairs = list[tuple[Tensor, Tensor]]
MIB = 1 << 20
CHECKED = [(1, 1, 1), (4, 1, 2), (16, 1, 3), (16, 4, 1), (16, 4, 2), (16, 8, 3)]
"""Threads, MiB of a buffer, buffers of a thread: what is compared bit for bit."""


class WaitingLane(Lane):
    """The earlier way: each copy on the one default stream, and waited for."""

    def __init__(self, device: torch.device, ring: int, buffer_bytes: int) -> None:
        super().__init__(device, ring, buffer_bytes)
        self._stream = None

    def copy(self, target: Tensor, source: Tensor) -> None:
        """To the device, then to its place."""
        target.copy_(source.to(target.device))


class Bench:
    """States of a shape on a device, and places of the same shape for them to come back to."""

    def __init__(self, shape: str, tokens: int, chunk: int, device: torch.device, rounds: int) -> None:
        s = SHAPES[shape]
        self.layers, self.size = s["num_hidden_layers"], (s["num_key_value_heads"], tokens, s["head_dim"])
        self.device, self.rounds, self.spans, self.ids = device, rounds, chunk_spans(tokens, chunk), list(range(tokens))
        self.states, self.places = self._pairs(torch.randn), self._pairs(torch.zeros)
        self.chunk, self.segments = chunk, list[Segment]()

    def _pairs(self, make: Callable[..., Tensor]) -> Pairs:
        return [
            (make(self.size, device=self.device, dtype=torch.bfloat16), make(self.size, device=self.device,
             dtype=torch.bfloat16)) for _ in range(self.layers)
        ]  # fmt: skip

    @property
    def bytes(self) -> int:
        """Of the layers in the files."""
        return sum(place.length for segment in self.segments for place in segment.layers)

    def write(self, folder: Path, codec: str) -> Row:
        """Files of all chunks; where the codec rounds, the states become what must come back."""
        facts = {"model": "random", "weights": "", "tokenizer": "", "rope": "", "dtype": "bfloat16", "policy": "dense"}
        heads, _, dim = self.size
        namespace = Namespace(
            **facts, layers=self.layers, kv_heads=heads, head_dim=dim, codec=codec, policy_parameters=(),
            chunk_tokens=self.chunk, numerics=0,
        )  # fmt: skip
        keys = chain_keys(namespace.digest, self.ids, self.spans)

        def one(n: int) -> Segment:
            start, end = self.spans[n]
            layers = [(k[:, start:end], v[:, start:end]) for k, v in self.states]
            draft = Draft.of(namespace, keys[n - 1] if n else None, self.ids[start:end], layers)
            draft.write(folder / f"{draft.key}.kv")
            return Segment.open(folder / f"{draft.key}.kv")

        started = time.perf_counter()
        with ThreadPoolExecutor(4) as pool:
            self.segments = list(pool.map(one, range(len(self.spans))))
        return {"codec": codec, "what": "written", "gigabytes": self.bytes / 1e9, "s": time.perf_counter() - started}

    def restore(self, restorer: Restorer) -> None:
        """All of it, as the store does; raises where not all of it came."""
        done, error = restorer.restore(self.segments, self.places)
        if done != len(self.segments):
            raise SystemExit(f"{done} of {len(self.segments)} chunks came back: {error}")

    def check(self, restorer: Restorer) -> None:
        """Restore over other values that are still being written when it begins; every bit must be right then."""
        for pair in self.places:
            for place in pair:
                place.fill_(7.0)
        self.restore(restorer)
        for want, got in zip(self.states, self.places, strict=True):
            for x, y in zip(want, got, strict=True):
                if not torch.equal(x.view(torch.int16), y.view(torch.int16)):
                    raise SystemExit("WRONG: what came back is not what was written")

    def check_damage(self) -> None:
        """One bit changed in the middle chunk must end it before that chunk."""
        n = len(self.segments) // 2
        segment = self.segments[n]
        with segment.path.open("r+b") as file:
            file.seek(segment.payload + segment.layers[-1].offset + 12345)
            byte = file.read(1)[0]
            for value, want in ((byte ^ 4, n), (byte, len(self.segments))):
                file.seek(segment.payload + segment.layers[-1].offset + 12345)
                file.write(bytes([value]))
                file.flush()
                done, _ = Restorer().restore(self.segments, self.places)
                if done != want:
                    raise SystemExit(f"WRONG: {done} chunks came back where {want} are sound")

    def rate(self, work: Callable[[], object], size: int | None = None) -> Row:
        """Seconds and GB/s, medians of the rounds; one round before them is not counted."""
        taken = []
        for _ in range(self.rounds + 1):
            self._wait()
            started = time.perf_counter()
            work()
            self._wait()
            taken.append(time.perf_counter() - started)
        seconds = statistics.median(taken[1:])
        return {"s": seconds, "gb_s": (size or self.bytes) / seconds / 1e9, "times": taken}

    def first(self) -> Row:
        """The first restore of a process: staging is made and pinned."""
        started = time.perf_counter()
        restorer = Restorer()
        self.restore(restorer)
        self._wait()
        return {"what": "first restore", "s": time.perf_counter() - started}

    def settings(self, grid: Sequence[tuple[int, int, int]]) -> Iterator[Row]:
        """Whole restores."""
        for threads, mib, ring in grid:
            restorer = Restorer(threads=threads, buffer_bytes=mib * MIB, ring=ring)
            found = self.rate(lambda r=restorer: self.restore(r))  # type: ignore[misc]
            yield {"what": "restored", "threads": threads, "mib": mib, "ring": ring, **found}

    def earlier(self) -> Row:
        """The earlier way, on the same files and machine."""
        with patch.object(restore, "Lane", WaitingLane):
            restorer = Restorer(threads=16, buffer_bytes=8 * MIB, ring=1)
            return {
                "what": "earlier way",
                "threads": 16,
                "mib": 8,
                "ring": 1,
                **self.rate(lambda: self.restore(restorer)),
            }

    def parts(self, threads: int, mib: int) -> Iterator[Row]:
        """Each part of a restore alone, by so many threads."""
        lanes = [Lane(self.device, 2, mib * MIB) for _ in range(threads)]
        for what, work in (("read", self._read), ("read, checked", self._read_and_check), ("copied", self._copy)):
            found = self.rate(lambda w=work: self._all(lanes, w))  # type: ignore[misc]
            yield {"what": what, "threads": threads, "mib": mib, "ring": 2, **found}

    def _all(self, lanes: list[Lane], work: Callable[[Lane, Segment, int], None]) -> None:
        jobs = [(segment, i) for segment in self.segments for i in range(self.layers)]
        turns = iter(jobs)

        def run(lane: Lane) -> None:
            with lane.working(None):
                for segment, i in turns:  # a list's iterator may be shared by threads
                    work(lane, segment, i)

        with ThreadPoolExecutor(len(lanes)) as pool:
            list(pool.map(run, lanes))

    def _read(self, lane: Lane, segment: Segment, i: int) -> None:
        place = segment.layers[i]
        with closing(open_file(segment.path)) as file:
            done = 0
            while done < place.length:
                run = lane.take()[: place.length - done]
                file.read_at(segment.payload + place.offset + done, run.numpy().data)
                done += len(run)

    def _read_and_check(self, lane: Lane, segment: Segment, i: int) -> None:
        with closing(open_file(segment.path)) as file:
            deque(segment.rows(file, i, lane.take), 0)

    def _copy(self, lane: Lane, segment: Segment, i: int) -> None:
        left, target = segment.layers[i].length, self.places[i][0].view(torch.uint8).view(-1)
        while left > 0:
            source = lane.take()[: min(left, len(target))]
            lane.copy(target[: len(source)], source)
            left -= len(source)

    def unpacking(self) -> Row:
        """What the codec costs on the device, its rows already there."""
        segment, mib = self.segments[0], 4
        how, dim = segment.layout, self.size[2]
        rows = torch.zeros(mib * MIB // how.row_bytes(dim), how.row_bytes(dim), dtype=torch.uint8, device=self.device)
        count = self.bytes // rows.numel()
        found = self.rate(lambda: [how.decode(rows, dim, torch.bfloat16) for _ in range(count)])  # type: ignore[union-attr]
        return {"what": "unpacked", "threads": 1, "mib": mib, **found}

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def prefills(shape: str, tokens: int, rounds: int) -> list[Row]:
    """What a restore saves: prefill at 3 % of the blocks, its KV kept on the device."""
    from tests.benchmarks.prefill import measure
    from tests.benchmarks.shapes import random_model

    model, spec, chunk = random_model(shape, tokens, "cuda"), "blocks:density=0.03", 32768
    measure(model, shape, min(tokens, 2 * chunk), spec, chunk, "device")  # compiles and tunes
    rows = []
    for _ in range(rounds):
        found = measure(model, shape, tokens, spec, chunk, "device")
        rows.append({"what": "prefill", "policy": spec, "tokens": tokens, "s": found["seconds"]})
        torch.cuda.empty_cache()
    return rows


def _setting(text: str) -> tuple[int, int, int]:
    threads, mib, ring = map(int, text.split(","))
    return threads, mib, ring


def main() -> None:
    """Check, measure, print, write JSON; 1 where anything came back wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="llama-3.1-8b", choices=SHAPES)
    parser.add_argument("--tokens", type=int, default=131072)
    parser.add_argument("--chunk", type=int, default=16384)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--checks", type=int, default=3, help="times that each of the settings is compared bit for bit")
    parser.add_argument("--quick", action="store_true", help="few settings")
    parser.add_argument("--setting", type=_setting, action="append", help="THREADS,MIB,RING, instead of the usual ones")
    parser.add_argument("--out", type=Path, default=Path("data/results/restore.json"))
    options = parser.parse_args()
    device, rows = torch.device(options.device), list[Row]()
    bench = Bench(options.shape, options.tokens, options.chunk, device, options.rounds)
    wide = [*itertools.product((4, 8, 16), (4, 16, 32), (2,)), (8, 32, 1), (16, 32, 1), (8, 64, 1)]
    grid = options.setting or ([(8, 4, 2), (8, 32, 2), (16, 32, 1)] if options.quick else wide)
    for codec in ("bfloat16", "fp8"):
        with tempfile.TemporaryDirectory() as folder:
            found = [bench.write(Path(folder), codec)]
            restorers = [Restorer(threads=t, buffer_bytes=m * MIB, ring=r) for t, m, r in CHECKED]
            for _, restorer in itertools.product(range(options.checks), restorers):
                bench.check(restorer)
            bench.check_damage()
            found.append({"what": "bit for bit", "restores": options.checks * len(CHECKED), "wrong": 0})
            del restorers
            found += [bench.first(), bench.earlier(), *bench.settings(grid)]
            for threads in (2, 8) if options.quick else (1, 4, 8, 16):
                found += bench.parts(threads, 4)
            found.append(bench.unpacking())
            rows += [{"codec": codec, "tokens": options.tokens, **row} for row in found]
            write(options.out, rows)
    del bench
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        rows += prefills(options.shape, options.tokens, options.rounds)
        computed = statistics.median(row["s"] for row in rows if row["what"] == "prefill")
        for row in rows:
            if row["what"] == "restored":
                row["beside_prefill"] = row["s"] / computed
        write(options.out, rows)
    show(rows, ["codec", "what", "threads", "mib", "ring", "restores", "wrong", "s", "gb_s", "beside_prefill"])


if __name__ == "__main__":
    main()
