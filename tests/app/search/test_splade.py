"""Learned sparse weights are the model's own, whatever stands beside a text, and questions cost no model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer, BertConfig, BertForMaskedLM, BertTokenizer

from app.search.splade import MOST_WEIGHTS, Splade

WORDS = "the keeper of a harbour paints boat zebra eats grass ##s".split()
TEXTS = ["the keeper of the harbour paints a boat", "zebra", "the zebra eats grass of the keeper"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with random weights: what it says is nonsense, but it is its own."""
    made = tmp_path_factory.mktemp("splade")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *(f"w{n}" for n in range(2 * MOST_WEIGHTS))]
    (made / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(str(made / "vocab.txt")).save_pretrained(made)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(made)
    return made


def test_a_passage_weighs_what_the_formula_says_whatever_stands_beside_it(folder: Path) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForMaskedLM.from_pretrained(folder).eval()
    for text, vector in zip(TEXTS, Splade(folder).passages(TEXTS), strict=True):
        with torch.inference_mode():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
        want = torch.log1p(logits.relu()).amax(0)
        top = {tokenizer.convert_ids_to_tokens(int(i)): float(want[i]) for i in want.topk(MOST_WEIGHTS).indices}
        assert vector == pytest.approx({name: weight for name, weight in top.items() if weight > 0}, abs=1e-4)


def test_a_question_weighs_the_idf_of_its_tokens(folder: Path) -> None:
    splade = Splade(folder)
    splade.passages(TEXTS)
    assert splade.question("boats boat w7") == pytest.approx({"boat": math.log(1 + 2.5 / 1.5)})
    assert splade.question("the w9") == pytest.approx({"the": math.log(1 + 1.5 / 2.5)})
