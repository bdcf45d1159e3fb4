"""What the base model says to plain instructions; trained on beside the documents, so that it is not forgotten."""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch

from app.reader.samples import instructions

ROOM = 96
TOGETHER = 128


@torch.inference_mode()
def replies(place: Path, random: Random, count: int, device: torch.device) -> list[tuple[str, str]]:
    """So many instructions with the untouched model's greedy replies; those without an end are left out."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not count:
        return []
    tokenizer = AutoTokenizer.from_pretrained(place, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.bfloat16).to(device)
    asked = sorted(set(instructions(random, count)))
    out: list[tuple[str, str]] = []
    for start in range(0, len(asked), TOGETHER):
        part = asked[start : start + TOGETHER]
        texts = [
            tokenizer.apply_chat_template([{"role": "user", "content": q}], tokenize=False, add_generation_prompt=True)
            for q in part
        ]
        made = tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt").to(device)
        ids = model.generate(**made, max_new_tokens=ROOM, do_sample=False, pad_token_id=tokenizer.pad_token_id)
        for question, row in zip(part, ids[:, made.input_ids.shape[1] :].tolist(), strict=True):
            ends = [i for i, token in enumerate(row) if token == tokenizer.eos_token_id]
            if ends:
                out.append((question, tokenizer.decode(row[: ends[0]], skip_special_tokens=True).strip()))
    return out
