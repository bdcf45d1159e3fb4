"""Spoken: what the base model says where there are no documents, so that training can hold the reader to it.

The base goes on behind the mark of a person's turn, and so asks itself (Xu et al., 2024, "Magpie"), then replies. What
is like an instruction of the examination (app.reader.retention) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from app.reader.retention import INSTRUCTIONS

SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
    "Answer briefly.",
    "You are a friendly assistant who knows a lot.",
)
QUESTION, REPLY, TOGETHER = 40, 128, 768
"""Tokens of an instruction and of a reply at most, and how many are made side by side."""
END = "<|im_end|>"


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the model is told to be, an instruction, and the base's own reply, which may stop in its middle."""

    system: str
    question: str
    reply: str


def opening(system: str, question: str | None = None) -> str:
    """A dialogue up to where the person is to speak or, behind a question, the model."""
    asked = f"<|im_start|>system\n{system}{END}\n<|im_start|>user\n"
    return asked if question is None else f"{asked}{question}{END}\n<|im_start|>assistant\n"


@torch.inference_mode()
def spoken(place: Path, count: int, device: torch.device, *, seed: int) -> list[Spoken]:
    """About half of `count` dialogues: those whose instruction came to an end and is not examined."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not count:
        return []
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(place, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.bfloat16).to(device)
    out: list[Spoken] = []
    for number, start in enumerate(range(0, count, TOGETHER)):
        system = SYSTEMS[number % len(SYSTEMS)]
        told = [opening(system)] * min(TOGETHER, count - start)
        asked = [said.removesuffix(END) for said in _go_on(model, tokenizer, told, QUESTION) if said.endswith(END)]
        asked = [question for question in asked if question.strip() and not examined(question)]
        if asked:
            replies = _go_on(model, tokenizer, [opening(system, question) for question in asked], REPLY)
            out += [Spoken(system, question, reply) for question, reply in zip(asked, replies, strict=True)]
    return out


def examined(question: str) -> bool:
    """Whether an instruction holds one of the examination's, whatever its punctuation."""
    return any(words in _bare(question) for words in EXAMINED)


def _bare(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


EXAMINED = tuple(_bare(asked) for asked, _ in INSTRUCTIONS)


def _go_on(model: Any, tokenizer: Any, texts: Sequence[str], most: int) -> list[str]:
    """What the model says behind each text, with END where it ended."""
    made = tokenizer(list(texts), add_special_tokens=False, padding=True, return_tensors="pt").to(model.device)
    ids = model.generate(
        **made, max_new_tokens=most, do_sample=True, temperature=1.0, top_p=0.95, top_k=0,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.convert_tokens_to_ids(END),
    )  # fmt: skip
    said = tokenizer.batch_decode(ids[:, made.input_ids.shape[1] :])
    return [text.split(END)[0] + (END if END in text else "") for text in said]
