"""Stopping at any moment: nothing stays behind, and the next answer is right."""

from __future__ import annotations

import gc
import random
from pathlib import Path

import pytest
import torch

from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.errors import Cancelled
from engine.events import CancelToken, Progress
from engine.kv.cache import KVLayer
from engine.models.model import LanguageModel

TOKENS = torch.randint(0, 40000, (400,), generator=torch.Generator().manual_seed(9)).tolist()
SAMPLING = Sampling(max_new_tokens=6)
STOPS = 50


def held() -> int:
    """Layers of KV that somebody still holds."""
    gc.collect()
    return sum(isinstance(thing, KVLayer) for thing in gc.get_objects())


def test_fifty_stops_at_random_moments_leave_no_memory_and_the_next_answer_is_right(
    random_models: dict[str, Path],
) -> None:
    model = LanguageModel.load(str(random_models["llama"]), dtype="float32", device="cpu", home=random_models["llama"])
    engine = Engine(model, chunk_tokens=32, segment_tokens=64)

    def answered(token: CancelToken | None, left: int) -> list[int]:
        """Context and answer, stopped at the `left`th sign of progress."""

        def count(_: Progress) -> None:
            nonlocal left
            left -= 1
            if left == 0 and token is not None:
                token.cancel()

        context = engine.context(TOKENS, cancel=token, on_progress=count)
        generation = engine.generate(context, TOKENS[:40], sampling=SAMPLING, cancel=token, on_progress=count)
        for _ in generation:
            count(Progress("decode", 0, 0))
        return generation.token_ids

    right = answered(None, 0)
    gc.freeze()  # what other tests left is not looked through each time
    before, dice, stopped = held(), random.Random(0), 0
    for _ in range(STOPS):
        try:
            answered(CancelToken(), dice.randint(1, 46))
        except Cancelled:
            stopped += 1
        assert held() == before
    gc.unfreeze()
    assert stopped >= STOPS // 2
    assert answered(None, 0) == right


@pytest.mark.gpu
def test_stops_leave_no_memory_on_the_device(random_models: dict[str, Path]) -> None:
    model = LanguageModel.load(str(random_models["llama"]), device="cuda", home=random_models["llama"])
    engine = Engine(model, chunk_tokens=64, segment_tokens=128)
    list(engine.generate(engine.context(TOKENS), TOKENS[:9], sampling=SAMPLING))
    gc.collect()
    before = torch.cuda.memory_allocated()
    for i in range(20):
        token = CancelToken()

        def stop(event: Progress, left: list[int] = [i], token: CancelToken = token) -> None:  # noqa: B006
            left[0] -= 1
            if left[0] < 0:
                token.cancel()

        with pytest.raises(Cancelled):
            engine.context(TOKENS, cancel=token, on_progress=stop)
        gc.collect()
        assert torch.cuda.memory_allocated() == before
