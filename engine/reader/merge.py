"""Merge an adapter into the default model: each linear layer's weight W becomes W + alpha / rank · B A."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from engine.reader.positions import WINDOW, YARN

PREFIX = "base_model.model."


def merge(model: Path, adapter: Path, out: Path) -> None:
    """Write the merged model into `out`: bfloat16 weights of `model`, its tokenizer, and scaled positions.

    Raises KeyError where the adapter names a layer that the model does not have.
    """
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    scale = config["lora_alpha"] / config["r"]
    weights = load_file(model / "model.safetensors")
    low = load_file(adapter / "adapter_model.safetensors")
    for key in sorted(low):
        if ".lora_A." in key:
            name = key.removeprefix(PREFIX).replace(".lora_A.weight", ".weight")
            a, b = low[key].float(), low[key.replace(".lora_A.", ".lora_B.")].float()
            weights[name] = (weights[name].float() + scale * (b @ a)).to(torch.bfloat16).contiguous()
    out.mkdir(parents=True, exist_ok=True)
    for file in model.iterdir():
        if file.suffix in (".json", ".jinja") and file.name != "config.json":
            (out / file.name).write_bytes(file.read_bytes())
    shape = json.loads((model / "config.json").read_text(encoding="utf-8"))
    shape |= {"rope_parameters": YARN, "max_position_embeddings": WINDOW}
    (out / "config.json").write_text(json.dumps(shape, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
