"""What rounding costs in perplexity: `python -m tests.benchmarks.perplexity --out FILE`.

The default model, real text (prose and code of Python's own documentation and library). Behind a prefix whose KV went
through a codec, the next tokens are read and scored; behind the plain prefix they are fed one by one through decode
steps, which on a CPU multiply by int8 weights. Each beside the same tokens read with nothing rounded.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.decode.decoding import BehindPrefix, Decoding
from engine.engine import Engine
from engine.kv.cache import KVCache
from engine.kv.prefix import ResidentPrefix
from engine.models.layers import run_layers
from engine.models.model import LanguageModel
from engine.store import codec
from kernels import quantize_pages
from kernels.fp8 import dequantize
from tests.benchmarks.report import show
from tests.texts import long_text

ROOT = Path(__file__).parents[2]
CODECS = ("fp8", "int8", "int4")
Row = dict[str, Any]


def through(name: str) -> Callable[[Tensor], Tensor]:
    """Keys or values [Hkv, T, D] written in a codec and read back; 'pages' is what host memory holds."""

    def run(x: Tensor) -> Tensor:
        if name == "pages":
            data, scale, _ = quantize_pages(x[None], 64)
            return dequantize(data, scale, x.dtype)[0]
        rows = codec(name).encode(x.reshape(-1, x.shape[-1]))
        return codec(name).decode(rows, x.shape[-1], x.dtype).view(x.shape)

    return run


@torch.inference_mode()
def scored(model: LanguageModel, prefix: KVCache, tokens: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Each next token's negative log-likelihood, and the likeliest tokens, reading all at once."""
    tails = Decoding(model, ResidentPrefix(prefix), capacity=len(tokens)).tails.slot(0)
    positions = torch.arange(prefix.length, prefix.length + len(tokens))[None]
    attends = BehindPrefix(ResidentPrefix(prefix))
    hidden = run_layers(model.decoder, torch.tensor(tokens)[None], positions, tails, attends)
    return judged(model.head(model.decoder.norm(hidden[0])), tokens)


def judged(logits: Tensor, tokens: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Negative log-likelihoods of tokens[1:] under logits [T, vocab], and what the model would have said."""
    likely = logits[:-1].float().log_softmax(-1)
    return -likely.gather(1, torch.tensor(tokens[1:]).unsqueeze(1)).squeeze(1), likely.argmax(-1)


def stepped(model: LanguageModel, prefix: KVCache, tokens: Sequence[int]) -> tuple[Tensor, Tensor]:
    """As `scored`, one decode step a token."""
    decoding = Decoding(model, ResidentPrefix(prefix), capacity=len(tokens))
    decoding.going([0])
    return judged(torch.stack([decoding.step([token])[0].clone() for token in tokens]), tokens)


def compare(model: LanguageModel, kind: str, tokens: int, behind: int) -> list[Row]:
    """One text: perplexity and agreement of each way beside nothing rounded."""
    ids = model.encode(long_text(kind))[: tokens + behind]
    cache, rest = Engine(model).context(ids[:tokens]).cache, ids[tokens:]
    plain, said = scored(model, cache, rest)
    rows: list[Row] = []

    def add(what: str, nll: Tensor, choice: Tensor) -> None:
        rows.append(
            {"what": what, "text": kind, "prefix": tokens, "scored": len(nll), "perplexity": float(nll.mean().exp()),
             "more_percent": 100 * float((nll.mean() - plain.mean()).exp() - 1),
             "agreement_percent": 100 * float((choice == said).float().mean())}
        )  # fmt: skip

    add("nothing rounded", plain, said)
    for name in ("pages", *CODECS):
        rounded = KVCache([(through(name)(k)[None], through(name)(v)[None]) for k, v in cache.span(0, tokens)])
        rounded.fill(tokens)
        add(f"KV {name}", *scored(model, rounded, rest))
    add("decode steps (int8 weights)", *stepped(model, cache, rest))
    return rows


def main() -> None:
    """Both texts; prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--behind", type=int, default=512)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    model = LanguageModel.load("default", home=ROOT / ".cache" / "omnibus", device="cpu")
    rows = [r for kind in ("prose", "code") for r in compare(model, kind, options.tokens, options.behind)]
    show(rows, ["what", "text", "perplexity", "more_percent", "agreement_percent"])
    if options.out:
        about = {
            "model": model.name, "dtype": str(model.dtype)[6:], "torch": torch.__version__,
            "command": f"python -m tests.benchmarks.perplexity --tokens {options.tokens} --behind {options.behind} "
            "--out FILE",
        }  # fmt: skip
        options.out.write_text(json.dumps({"environment": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
