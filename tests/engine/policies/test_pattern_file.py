"""Pattern files are read as others write them, and what is wrong in one is named."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import PatternFileError, UnknownPolicy
from engine.policies import FlexPrefill, MInference, XAttention, policy_by_name
from engine.policies.pattern_file import HeadPattern, read_patterns, write_patterns

GOOD: list[dict[str, Any]] = [
    {"0": ["vertical_and_slash", 1000, 6096, 0.9623493552207947], "1": ["stream_llm", 100, 800, 0.99]},
    {"1": ["block_sparse", 100, 0, 336]},
]


def saved(tmp_path: Path, found: Any) -> Path:
    path = tmp_path / "patterns.json"
    path.write_text(found if isinstance(found, str) else json.dumps(found))
    return path


def test_all_kinds_both_scores_and_missing_heads_are_read(tmp_path: Path) -> None:
    patterns = read_patterns(saved(tmp_path, GOOD), layers=2, heads=2)
    assert patterns[0] == (
        HeadPattern("vertical_and_slash", 1000, 6096, 0.9623493552207947),
        HeadPattern("stream_llm", 100, 800, 0.99),
    )
    assert patterns[1] == (HeadPattern("vertical_and_slash", 1000, 6096), HeadPattern("block_sparse", 100, 0, 336))


def test_what_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    patterns = read_patterns(saved(tmp_path, GOOD), layers=2, heads=2)
    write_patterns(tmp_path / "copy.json", patterns)
    assert read_patterns(tmp_path / "copy.json", layers=2, heads=2) == patterns
    assert json.loads((tmp_path / "copy.json").read_text())[0]["1"] == ["stream_llm", 100, 800, 0.99]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ("[{", "is not JSON"),
        ({"0": []}, "holds a dict, not an array"),
        (GOOD[:1], "has 1 layers, the model has 2"),
        ([GOOD[0], 3], "layer 1 is a int"),
        ([GOOD[0], {"2": ["stream_llm", 1, 2, 1]}], "layer 1, head '2' is none of the model's 2 heads"),
        ([GOOD[0], {"x": ["stream_llm", 1, 2, 1]}], "layer 1, head 'x'"),
        ([GOOD[0], {"1": ["diagonal", 1, 2, 1]}], "layer 1, head 1 has the unknown type 'diagonal'; known are"),
        ([GOOD[0], {"1": ["stream_llm", 1, 2]}], "layer 1, head 1 is not"),
        ([GOOD[0], {"0": ["stream_llm", -1, 2, 1]}], "layer 1, head 0 has the size -1"),
        ([GOOD[0], {"0": ["stream_llm", 1, 2.5, 1]}], "has the size 2.5"),
        ([GOOD[0], {"0": ["stream_llm", 1, 2, "good"]}], "has the score 'good'"),
    ],
)
def test_the_first_wrong_entry_is_named(tmp_path: Path, found: Any, message: str) -> None:
    path = saved(tmp_path, found)
    with pytest.raises(PatternFileError) as caught:
        read_patterns(path, layers=2, heads=2)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PatternFileError, match="cannot be read"):
        read_patterns(tmp_path / "none.json", layers=2, heads=2)


def test_policies_are_made_by_name(tmp_path: Path) -> None:
    config = SimpleNamespace(num_hidden_layers=2, num_attention_heads=2)
    xattention = policy_by_name("xattention:stride=8,threshold=0.8")
    assert isinstance(xattention, XAttention)
    assert (xattention.stride, xattention.threshold) == (8, 0.8)
    assert isinstance(policy_by_name("flexprefill"), FlexPrefill)
    fixed = policy_by_name("minference:512,2048")
    assert isinstance(fixed, MInference)
    assert (fixed.default.a, fixed.default.b) == (512, 2048)
    read = policy_by_name(f"minference:{saved(tmp_path, GOOD)}", config)
    assert isinstance(read, MInference)
    assert read.patterns[0][1].kind == "stream_llm"
    config.dual_chunk_attention_config = {"sparse_attention_config": GOOD}
    inside = policy_by_name("minference", config)
    assert isinstance(inside, MInference)
    assert inside.patterns == read.patterns


def test_auto_begins_where_it_pays_on_the_device_unless_told() -> None:
    assert policy_by_name("auto").parameters() != policy_by_name("auto", device="cpu").parameters()
    assert policy_by_name("auto:minimum=99").parameters()["minimum"] == 99
    assert policy_by_name("auto:level=high").parameters()["recall"] == 0.997


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sparse", "known are auto, blocks, dense, flexprefill"),
        ("xattention:strid=8", "it takes stride, threshold"),
        ("xattention:stride=many", "'stride' is a number like 16"),
        ("dense:x=1", "no parameters"),
        ("minference:file.json", "needs a model"),
    ],
)
def test_unknown_names_and_parameters_are_told(spec: str, message: str) -> None:
    with pytest.raises(UnknownPolicy, match=message):
        policy_by_name(spec)


SHIPPED = sorted((Path(__file__).parents[3] / "data" / "patterns").glob("*.json"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_patterns_are_whole(path: Path) -> None:
    raw = json.loads(path.read_text())
    patterns = read_patterns(path, layers=len(raw), heads=len(raw[0]))
    assert all(len(layer) == len(raw[0]) for layer in raw)
    assert all(p.a + p.b > 0 for layer in patterns for p in layer)
    assert f"{path.name}" in (path.parent / "README.md").read_text()
