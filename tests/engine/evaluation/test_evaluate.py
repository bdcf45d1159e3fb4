"""The evaluation finds what is broken: blocks chosen at random, and KV that came back at other positions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.context import Context
from engine.engine import Engine
from engine.evaluation import variant as variants
from engine.evaluation.errors import OtherRun
from engine.evaluation.evaluate import Plan, Result, bare_frame, evaluate, plain_frame
from engine.evaluation.record import Ledger
from engine.evaluation.report import write_report
from engine.evaluation.runner import Runner
from engine.evaluation.summary import Row, summarise
from engine.evaluation.variant import Variant
from engine.models.model import LanguageModel
from engine.policies.dense import Dense
from kernels import BlockIndex

LENGTH = 640


class Random:
    """A broken policy: the queries' own blocks, and a few others by chance."""

    name = "random"

    def parameters(self) -> dict[str, float | int | str]:
        """None."""
        return {}

    def index(self, layer: int, q: Tensor, k: Tensor) -> BlockIndex | None:
        """A thirtieth of the blocks of 32, the same for every head."""
        rows, blocks = -(-q.shape[2] // 32), -(-k.shape[2] // 32)
        generator = torch.Generator().manual_seed(layer)
        mask = torch.rand(1, 1, rows, blocks, generator=generator) < 0.03
        own = (torch.arange(rows) * 32 + k.shape[2] - q.shape[2]) // 32
        mask[0, 0, torch.arange(rows), own] = True
        return BlockIndex.from_mask(mask, q_len=q.shape[2], kv_len=k.shape[2], q_block=32, k_block=32)


def rows_of(model: LanguageModel, folder: Path, *others: Variant) -> dict[str, Row]:
    """The rows over all questions of two needles and one text, by variant."""
    ledger = Ledger(folder, {})
    Runner(model, ledger, plain_frame(model), others).run(["needle#0", "needle#3", "passkey"], [LENGTH], 1)
    return {row.variant: row for row in summarise(ledger.records) if row.suite == "all questions"}


def test_random_blocks_are_found_out(default_language_model: LanguageModel, tmp_path: Path) -> None:
    rows = rows_of(default_language_model, tmp_path, Variant("random", Random()))
    dense, broken = rows["dense"], rows["random"]
    assert dense.agreement == 1.0
    assert dense.score is not None
    assert dense.score > 0.8
    assert broken.score is not None
    assert broken.score < 0.6
    assert broken.less is not None
    assert broken.less > 0.3
    assert broken.agreement is not None
    assert broken.agreement < 0.97  # a reader that is given the beginning of a quotation knows how it goes on
    assert broken.kept is not None
    assert broken.kept < 0.5


def test_kv_restored_one_position_off_is_found_out(
    default_language_model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys one slot beside their values. (Both moved together would be the same attention: the order of keys is none of
    its business, as their positions are in them.)"""
    right = variants.restored

    def shifted(engine: Engine, tokens: list[int], density: float | None, recall: float | None) -> Context:
        context = right(engine, tokens, density, recall)
        for keys, _ in context.cache.span(0, len(tokens)):
            keys.copy_(keys.roll(1, dims=-2))
        return context

    whole = Variant("dense@raw", Dense(), "raw")
    good = rows_of(default_language_model, tmp_path / "right", whole)["dense@raw"]
    assert (good.agreement, good.drift, good.less) == (1.0, 0.0, 0.0)
    assert good.score is not None
    assert good.score > 0
    monkeypatch.setattr(variants, "restored", shifted)
    wrong = rows_of(default_language_model, tmp_path / "wrong", whole)["dense@raw"]
    assert wrong.agreement is not None
    assert wrong.agreement < 0.5
    assert wrong.score == 0.0


def test_a_stopped_run_goes_on_and_the_report_asks_no_other_page(
    default_language_model: LanguageModel, tmp_path: Path
) -> None:
    model = default_language_model
    plan = Plan(("passkey", "perplexity/prose"), (400,), ("dense", "auto:minimum=128"))
    made: list[str] = []
    first = evaluate(model, plan, tmp_path, plain_frame(model), on_task=lambda what, *_: made.append(what))
    assert len(made) == 4
    before = (tmp_path / "records.jsonl").read_bytes()
    again = evaluate(model, plan, tmp_path, plain_frame(model))
    assert (tmp_path / "records.jsonl").read_bytes() == before
    assert again.rows == first.rows
    table = write_report(again, tmp_path, "python -m engine.evaluation …")
    assert "### all questions, 400 tokens" in table
    page = (tmp_path / "report.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert "data:image/png;base64," in page
    assert json.loads((tmp_path / "results.json").read_text())["rows"]
    with pytest.raises(OtherRun, match="another seed"):
        evaluate(model, Plan(("passkey",), (400,), ("dense",), seed=7), tmp_path, plain_frame(model))
    with pytest.raises(OtherRun, match="another frame"):
        evaluate(model, plan, tmp_path, bare_frame(model))
    assert isinstance(first, Result)
