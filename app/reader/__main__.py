"""`python -m app.reader --model FOLDER --sources FILE --out FOLDER --steps N`: train the adapter, or go on with it.

Under `torchrun --nproc-per-node N` each process takes a GPU of its own.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import torch
import torch.distributed as dist

from app.reader.batches import Maker, Shares, batches
from app.reader.sources import load
from app.reader.spoken import Spoken, spoken
from engine.reader.train import Recipe, train


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the converted default model")
    parser.add_argument("--sources", type=Path, required=True, help="train.jsonl.xz of app.reader.sources")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--tokens", type=int, default=65_536, help="tokens of a process and step")
    parser.add_argument("--longest", type=int, default=32_768, help="tokens of the longest sample")
    parser.add_argument("--workers", type=int, default=0, help="processes that make samples, for each GPU")
    parser.add_argument("--spoken", type=int, default=12_288, help="dialogues without documents that the base begins")
    parser.add_argument("--plain", type=float, default=0.15, help="share of the steps on these dialogues")
    parser.add_argument("--text", type=float, default=0.05, help="share of the steps on real text")
    parser.add_argument("--fall", type=float, default=0.4, help="share of the steps in which the rate falls to nothing")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--adapter", type=Path, help="folder of an adapter to begin with, instead of a fresh one")
    asked = parser.parse_args()
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    sources = load(asked.sources)
    device = torch.device("cuda", rank) if torch.cuda.is_available() else torch.device("cpu")
    kept = asked.out / f"spoken-{rank}.json"
    asked.out.mkdir(parents=True, exist_ok=True)
    if not kept.is_file():
        made = spoken(asked.model, asked.spoken, device, seed=asked.seed)
        kept.write_text(json.dumps([[s.system, s.question, s.reply] for s in made]))
    said = [Spoken(*each) for each in json.loads(kept.read_text())]
    shares = Shares(plain=asked.plain if said else 0.0, text=asked.text)
    maker = Maker(
        asked.model, sources, said, shares=shares, tokens=asked.tokens, seed=asked.seed, longest=asked.longest
    )
    if "LOCAL_RANK" in os.environ:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    recipe = Recipe(steps=asked.steps, minutes=asked.minutes, rate=asked.rate, fall=asked.fall)
    train(
        asked.model, asked.out, recipe,
        lambda step: batches(maker, step, recipe.steps, rank=rank, workers=asked.workers), device=device,
        start=asked.adapter,
    )  # fmt: skip
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
