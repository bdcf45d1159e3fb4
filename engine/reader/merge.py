"""Merge an adapter into the default model: each linear layer's weight W becomes W + alpha / rank · B A."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from engine.reader.positions import WINDOW, YARN

PREFIX = "base_model.model."
WEIGHTS = "adapter_model.safetensors"
ORIGIN = "adapter.sha256"
"""Beside merged weights: which adapter is in them, so that a newer one is merged anew."""


def adapter_digest(adapter: Path) -> str:
    """SHA-256 of an adapter's weights."""
    with (adapter / WEIGHTS).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def merged_from(model: Path) -> str | None:
    """Digest of the adapter in a merged model; None where no one knows."""
    try:
        return (model / ORIGIN).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def merge(model: Path, adapter: Path, out: Path) -> None:
    """Write the merged model into `out`: bfloat16 weights of `model`, its tokenizer, and scaled positions.

    Raises KeyError where the adapter names a layer that the model does not have.
    """
    import torch
    from safetensors.torch import load_file, save_file

    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    scale = config["lora_alpha"] / config["r"]
    weights = load_file(model / "model.safetensors")
    low = load_file(adapter / WEIGHTS)
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
    (out / ORIGIN).write_text(f"{adapter_digest(adapter)}\n", encoding="ascii")
