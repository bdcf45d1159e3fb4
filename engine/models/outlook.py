"""Outlook: what a model would take and hold, read from its folder without loading it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.models import default_model
from engine.models.architecture import usable_window
from engine.models.measured import measured
from engine.models.model import known_of

DEFAULTS = ("default", default_model.NAME)


@dataclass(frozen=True, slots=True)
class Outlook:
    """A model's windows in tokens, the bytes of its weights, and those of one token's KV in 16 bits."""

    name: str
    window: int
    effective_window: int
    weight_bytes: int
    kv_bytes_per_token: int


def outlook(source: str, home: Path) -> Outlook | None:
    """What 'default', a folder or a hub id that was fetched before would take; None where it is not on this machine."""
    from transformers import AutoConfig

    place = _place(source, home)
    if place is None:
        return None
    config = AutoConfig.from_pretrained(place)
    name = source.split("/")[-1] if source.count("/") == 1 and not Path(source).is_dir() else place.name
    known = {**known_of(name), **measured(home).get(name, {})}
    window = usable_window(config)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Outlook(
        name,
        window,
        min(window, int(known.get("effective_window", window))),
        sum(file.stat().st_size for file in place.glob("*.safetensors")),
        2 * 2 * config.num_hidden_layers * config.num_key_value_heads * head_dim,
    )


def _place(source: str, home: Path) -> Path | None:
    if source in DEFAULTS or source == default_model.BASE:
        folder = default_model.folder(home, default_model.NAME if source in DEFAULTS else source)
    elif (folder := Path(source).expanduser()).is_dir() or source.count("/") != 1:
        pass
    else:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(source, "config.json")
        if not isinstance(found, str):
            return None
        folder = Path(found).parent
    return folder if (folder / "config.json").is_file() else None


def fetched(home: Path) -> list[str]:
    """Models on this machine, as LanguageModel.load takes them: those under `home`, then the hub's cache."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    here = {file.parent.name: str(file.parent) for file in sorted((home / "models").glob("*/config.json"))}
    here.pop(default_model.NAME, None)
    own = [name if name == default_model.BASE else path for name, path in here.items()]
    try:
        cached = sorted(repo.repo_id for repo in scan_cache_dir().repos if repo.repo_type == "model")
    except CacheNotFound:
        cached = []
    return ["default", *own, *cached]
