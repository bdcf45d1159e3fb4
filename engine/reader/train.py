"""Train the reader's adapter: LoRA on every linear layer (Hu et al., 2021), loss on answers only, resumable.

Positions are scaled by YaRN (Peng et al., 2023) to 32K. One process per GPU (torchrun) or one on a CPU; gradients are
summed between processes. The learning rate is held, then falls to nothing over the last 40 % of the steps, so that what
stands at any step before that can be gone on with under another number of steps.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from engine.reader.positions import WINDOW, YARN

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyperparameters; `steps` in all, of which one call does what fits into `minutes`."""

    steps: int
    minutes: float = 1e9
    rank: int = 24
    alpha: int = 48
    rate: float = 1e-3
    warm_up: int = 20
    clip: float = 1.0
    fall: float = 0.4
    """Share of the steps, the last ones, in which the rate falls to nothing."""
    every: int = 10
    """Steps between two lines of the log."""


@dataclass(frozen=True, slots=True)
class Batch:
    """ids [B, L], of which ids[:, i] counts weights[:, i] in the loss of predicting it.

    Where `taught`, not the id is to be predicted but what the untouched model expects in its place.
    """

    ids: Tensor
    weights: Tensor
    taught: bool = False


def base(place: Path, device: torch.device) -> Any:
    """The default model in bfloat16 with its positions scaled."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(place)
    config.rope_parameters, config.max_position_embeddings = dict(YARN), WINDOW
    model = AutoModelForCausalLM.from_pretrained(place, config=config, dtype=torch.bfloat16, attn_implementation="sdpa")
    return model.to(device)


def adapted(model: Any, recipe: Recipe, start: Path | None = None) -> Any:
    """The model with a fresh adapter, or with that of the folder `start`, whose weights alone are trained."""
    from peft import LoraConfig, PeftModel, get_peft_model

    if start is not None:
        return PeftModel.from_pretrained(model, str(start), is_trainable=True, autocast_adapter_dtype=False)
    config = LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, target_modules=list(LINEAR), task_type="CAUSAL_LM", lora_dropout=0.0
    )
    return get_peft_model(model, config, autocast_adapter_dtype=False)


def untouched(place: Path, device: torch.device) -> Any:
    """The default model as it comes, with its own positions: the teacher of what is not to be lost."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.bfloat16, attn_implementation="sdpa")
    return model.to(device).eval().requires_grad_(False)


def loss_of(model: Any, batch: Batch, teacher: Any = None) -> tuple[Tensor, Tensor]:
    """Weighted sum of the losses of counted tokens, and the sum of their weights.

    With a teacher the loss is the divergence of what the model expects from what the teacher does (Hinton et al.,
    2015).
    """
    rows, at = batch.weights[:, 1:].nonzero(as_tuple=True)
    weights = batch.weights[rows, at + 1]
    logits = _logits(model.get_base_model(), batch.ids, rows, at)
    if teacher is None:
        loss = torch.nn.functional.cross_entropy(logits, batch.ids[rows, at + 1], reduction="none")
    else:
        with torch.no_grad():
            expected = _logits(teacher, batch.ids, rows, at).log_softmax(-1)
        loss = torch.nn.functional.kl_div(logits.log_softmax(-1), expected, reduction="none", log_target=True).sum(-1)
    return (loss * weights).sum(), weights.sum()


def _logits(decoder: Any, ids: Tensor, rows: Tensor, at: Tensor) -> Tensor:
    hidden = decoder.model(input_ids=ids, use_cache=False).last_hidden_state
    return decoder.lm_head(hidden[rows, at]).float()  # type: ignore[no-any-return]


def train(
    place: Path, out: Path, recipe: Recipe, batches: Callable[[int], Iterator[Batch]], *, device: torch.device,
    start: Path | None = None,
) -> float:  # fmt: skip
    """Steps from where `out` stopped until `recipe` is done or its minutes are over; gives the last mean loss.

    What has not begun yet begins with the adapter in the folder `start`, or with a fresh one.

    `batches(step)` gives this process' batches from a step on, one a step. Writes `state.pt` (to go on with),
    `loss.jsonl` and, by peft, the adapter into `out`.
    """
    began = time.perf_counter()
    torch.manual_seed(0)
    model = adapted(base(place, device), recipe, start)
    trained = [p for p in model.parameters() if p.requires_grad]
    master = [p.detach().float().clone() for p in trained]
    optimizer = torch.optim.AdamW(master, lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.0)
    step = _resume(out, trained, master, optimizer)
    teacher = untouched(place, device)
    first, lead, mean, tokens = step, _rank() == 0, math.nan, 0
    out.mkdir(parents=True, exist_ok=True)
    for batch in batches(step):
        if step >= recipe.steps or _over(began, recipe.minutes, device):
            break
        given = Batch(batch.ids.to(device), batch.weights.to(device), batch.taught)
        total, weight = loss_of(model, given, teacher if given.taught else None)
        total.backward()  # type: ignore[no-untyped-call]
        figures = _sum(trained, master, total.detach(), weight)
        torch.nn.utils.clip_grad_norm_(master, recipe.clip)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * _share(step, recipe)
        optimizer.step()
        with torch.no_grad():
            for parameter, exact in zip(trained, master, strict=True):
                parameter.copy_(exact)
        step, tokens = step + 1, tokens + batch.ids.numel()
        if lead and (step % recipe.every == 0 or step == first + 1):
            mean = float(figures[0] / figures[1])
            line = {
                "step": step, "loss": round(mean, 4), "seconds": round(time.perf_counter() - began, 1),
                "tokens": tokens * _world(), "length": batch.ids.shape[1], "taught": batch.taught,
            }  # fmt: skip
            with (out / "loss.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            print(line, flush=True)
    if lead:
        state = {"step": step, "master": master, "optimizer": optimizer.state_dict(), "recipe": asdict(recipe)}
        torch.save(state, out / "state.pt")
        model.save_pretrained(out)
    return mean


def _resume(out: Path, trained: list[Tensor], master: list[Tensor], optimizer: Any) -> int:
    if not (out / "state.pt").is_file():
        return 0
    state = torch.load(out / "state.pt", map_location=master[0].device, weights_only=True)
    with torch.no_grad():
        for parameter, exact, kept in zip(trained, master, state["master"], strict=True):
            exact.copy_(kept)
            parameter.copy_(kept)
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _share(step: int, recipe: Recipe) -> float:
    """Of the learning rate: up over the first steps, held, then down to nothing."""
    left = (recipe.steps - step) / (recipe.fall * recipe.steps)
    return min(1.0, (step + 1) / recipe.warm_up, max(left, 0.01))


def _sum(trained: list[Tensor], master: list[Tensor], total: Tensor, weight: Tensor) -> Tensor:
    """Gradients into the exact weights, mean over every process' counted tokens; gives summed loss and weight."""
    figures = torch.stack([total.float(), weight.float()])
    flat = torch.cat([p.grad.float().flatten() for p in trained if p.grad is not None])
    if _world() > 1:
        dist.all_reduce(figures)
        dist.all_reduce(flat)
    flat /= figures[1]
    for parameter, exact, grad in zip(trained, master, torch.split(flat, [p.numel() for p in trained]), strict=True):
        exact.grad, parameter.grad = grad.view_as(exact), None
    return figures


def _over(began: float, minutes: float, device: torch.device) -> bool:
    """Whether the time is over, by the first process' clock."""
    over = torch.tensor(float(time.perf_counter() - began > 60 * minutes), device=device)
    if _world() > 1:
        dist.broadcast(over, 0)
    return bool(over)


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def _world() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1
