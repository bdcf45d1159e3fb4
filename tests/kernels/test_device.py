"""Tuned choices outlive the process, and damage to their file costs only time."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernels import device
from kernels.device import Config

CHOICES = [Config(64, 64, 4, 1), Config(128, 64, 8, 2), Config(128, 128, 8, 2)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "folder" / "kernels.json"
    monkeypatch.setenv("OMNIBUS_KERNEL_CACHE", str(path))
    device._remembered.cache_clear()
    yield path
    device._remembered.cache_clear()


def never(_: Config) -> float:
    raise AssertionError("tuned again")


def test_a_second_process_does_not_tune_again(cache: Path) -> None:
    times = dict(zip(CHOICES, [3.0, 1.0, 2.0], strict=True))
    assert device.tuned("key", CHOICES, times.__getitem__) == CHOICES[1]
    device._remembered.cache_clear()  # as a new process begins
    assert device.tuned("key", CHOICES, never) == CHOICES[1]
    with pytest.raises(AssertionError):
        device.tuned("another key", CHOICES, never)


def test_without_measuring_the_first_is_taken_and_nothing_written(cache: Path) -> None:
    assert device.tuned("key", CHOICES, None) == CHOICES[0]
    assert not cache.exists()


def test_a_choice_that_is_no_longer_offered_is_measured_again(cache: Path) -> None:
    device.tuned("key", CHOICES[:2], lambda c: float(-c.block_m))
    assert device.tuned("key", CHOICES[2:] + CHOICES[:1], lambda c: float(c.block_m)) == CHOICES[0]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"key": 3}'])
def test_a_damaged_file_is_ignored(cache: Path, content: str) -> None:
    cache.parent.mkdir()
    cache.write_text(content)
    device._remembered.cache_clear()
    assert device.tuned("key", CHOICES, lambda c: float(c.block_n)) == CHOICES[0]


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OMNIBUS_KERNEL_CACHE", str(tmp_path / "file" / "kernels.json"))
    device._remembered.cache_clear()
    assert device.tuned("key", CHOICES, lambda c: float(c.block_n)) == CHOICES[0]
    device._remembered.cache_clear()


def test_configurations_depend_on_the_capability() -> None:
    assert device.candidates((9, 0), 2, 128)[0].hopper
    assert not any(c.hopper for c in device.candidates((10, 0), 2, 128))
    assert not any(c.descriptors for c in device.candidates((8, 0), 2, 128))
