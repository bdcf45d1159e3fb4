"""Host memory that is to be pinned has pages of its own: the driver refuses to register one twice."""

from __future__ import annotations

import pytest
import torch

from engine.kv.host_memory import PAGE, host_memory


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 5), (2, 4096), (3, 7, 1000)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float8_e4m3fn, torch.bfloat16, torch.float32])
def test_it_is_zeros_of_that_shape(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    made = host_memory(shape, dtype, pinned=False)
    assert (tuple(made.shape), made.dtype) == (shape, dtype)
    assert not made.float().any()


def test_no_two_share_a_page() -> None:
    made = [host_memory((size,), torch.uint8, pinned=False) for size in (1, 100, 4096, 5000, 70_000) * 20]
    pages = [range(t.data_ptr() // PAGE, -(-(t.data_ptr() + len(t)) // PAGE)) for t in made]
    assert all(t.data_ptr() % PAGE == 0 for t in made)
    assert len({page for span in pages for page in span}) == sum(map(len, pages))


@pytest.mark.gpu
def test_it_is_pinned_while_it_is_held() -> None:
    made = [host_memory((size,), torch.uint8, pinned=True) for size in (1, 100, 5000, 70_000) * 20]
    assert all(t.is_pinned() for t in made)
    del made
    assert host_memory((70_000,), torch.uint8, pinned=True).is_pinned()
