"""LanguageModel: a transformers decoder, its tokenizer and chat template, and what it can really use."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import ModelLoadError, ModelNotFound
from engine.events import OnProgress, Progress
from engine.hardware import pick_device, pick_dtype
from engine.kv.cache import KVCache
from engine.kv.host_cache import HostCache
from engine.models import default_model
from engine.models.architecture import require_agreement, require_supported, require_weights, usable_window
from engine.models.fingerprint import ModelFingerprint, digest_files, digest_json
from engine.models.frame import Message, frame
from engine.models.fused import fuse
from engine.models.int8 import use_int8_steps
from engine.models.measured import measured
from engine.models.plain_tokenizer import PlainTokenizer
from engine.policies.dense import Dense
from engine.prefill import attention
from engine.prefill.attention import Attending
from engine.prefill.dual_chunk import DualChunk
from engine.prefill.prefill import prefill_segment

DEFAULT_NAMES = ("default", default_model.NAME)


class LanguageModel:
    """A loaded causal language model; use `LanguageModel.load`."""

    def __init__(
        self, model: Any, tokenizer: Any, *, name: str, fingerprint: ModelFingerprint, known: dict[str, Any], home: Path
    ) -> None:
        """`known` is what data/models.toml, or a measurement on this machine, says of the model; `home` keeps those."""
        self.name, self.fingerprint, self.config, self.home = name, fingerprint, model.config, home
        self._model, self._tokenizer = model, tokenizer
        self.encode("")  # leaves off truncation and padding, which later calls, in whatever thread, then need not
        self.decoder = model.model
        self.device: torch.device = next(model.parameters()).device
        self.dtype: torch.dtype = next(model.parameters()).dtype
        self.window = usable_window(model.config)
        self.dual_chunk = DualChunk.of(model.config, model.model.rotary_emb)
        self.effective_window = min(self.window, int(known.get("effective_window", self.window)))
        self.packed_window = min(self.effective_window, int(known.get("packed_window", self.window)))
        self.retrieval_heads = _heads(known.get("retrieval_heads"), fingerprint)
        self.brief: bool = known.get("prompt") == "brief"
        self.plain: str | None = known.get("plain")
        self.stop_ids = _stop_ids(model, tokenizer)
        self.tokenizer_digest = fingerprint.tokenizer

    @classmethod
    def load(
        cls,
        source: str,
        *,
        device: str = "auto",
        dtype: str = "auto",
        home: Path | None = None,
        on_progress: OnProgress | None = None,
    ) -> LanguageModel:
        """Load 'default', a hub id, a local folder or a .gguf file.

        The default model is fetched at first need. Raises ModelNotFound, ModelLoadError or DownloadFailed.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
        from transformers.utils import logging

        logging.disable_progress_bar()
        attention.register()
        home = home or Path.home() / ".cache" / "omnibus"
        place, options, name = _resolve(source, home, on_progress)
        target = pick_device(device)
        number = pick_dtype(dtype, target)
        if on_progress:
            on_progress(Progress("load", 0, 1))
        dense = {"quantization_config": GgufConfig(dequantize=True)} if options else {}
        try:
            tokenizer = AutoTokenizer.from_pretrained(place, **options)
            model, found = AutoModelForCausalLM.from_pretrained(
                place, dtype=number, attn_implementation=attention.NAME, output_loading_info=True, **options, **dense
            )
        except Exception as error:
            raise _load_error(source, place, error) from error
        require_weights(source, found)
        require_supported(source, model)
        model.eval().requires_grad_(False).to(target)
        fingerprint = _fingerprint(model, tokenizer, name, Path(place), options.get("gguf_file"), home)
        known = {**known_of(name), **measured(home).get(name, {})}
        made = cls(model, tokenizer, name=name, fingerprint=fingerprint, known=known, home=home)
        require_agreement(source, model, lambda ids: made.logits(made.step(ids, made.new_cache(len(ids)))))
        fuse(model.model)
        use_int8_steps(model)
        if on_progress:
            on_progress(Progress("load", 1, 1))
        return made

    # -- text ---------------------------------------------------------------------------------------------------------

    def encode(self, text: str) -> list[int]:
        """Token ids of a text that we wrote: special tokens in it count as such, none is added."""
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        return ids

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids of somebody's text and the characters (start, end) each came from.

        What looks like a special token stays text: a document cannot end its turn or speak as the system.
        """
        return self._plain.encode(text)

    @cached_property
    def _plain(self) -> PlainTokenizer:
        return PlainTokenizer(self._tokenizer)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, special tokens left out."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def frame(self, messages: Sequence[Message], *, system: str) -> tuple[list[int], list[int]]:
        """The chat template around the corpus: ids before it and ids behind it.

        messages[0] is the first question, which stands right behind the corpus in the same turn; the last message is
        the question to answer. Models without a chat template get plain text.
        """
        return frame(self._tokenizer, messages, system=system)

    # -- tensors ------------------------------------------------------------------------------------------------------

    def new_cache(self, capacity: int, placement: str = "device") -> Any:
        """An empty KVCache with room for `capacity` tokens; a HostCache where `placement` is "host"."""
        f = self.fingerprint
        make = HostCache if placement == "host" else KVCache.empty
        return make(f.layers, f.kv_heads, f.head_dim, capacity=capacity, dtype=self.dtype, device=self.device)

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [vocab] of the last position of normed hidden states [1, T, hidden]."""
        return self.head(hidden[0, -1])

    def head(self, hidden: Tensor) -> Tensor:
        """Logits [..., vocab] of normed hidden states [..., hidden]."""
        out: Tensor = self._model.lm_head(hidden)
        return out

    def step(self, tokens: Sequence[int], cache: KVCache) -> Tensor:
        """Feed a few tokens behind the cache; normed hidden states [1, 1, hidden] of the last one."""
        spans = [(cache.length, cache.length + len(tokens))]
        return prefill_segment(self.decoder, cache, tokens, spans, attends=Attending(Dense()))


def known_of(name: str) -> dict[str, Any]:
    """What data/models.toml says of a model: measured window, form of the prompt; nothing where it is not listed."""
    from engine.resources import data_file

    table = tomllib.loads(data_file("models.toml").read_text(encoding="utf-8"))
    entry: dict[str, Any] = table.get("model", {}).get(name, {})
    return entry


def _heads(known: list[list[int]] | None, fingerprint: ModelFingerprint) -> dict[int, list[int]]:
    """Heads by layer whose attention tells where an answer comes from; all of the middle third where none are known."""
    if known is None:
        third = fingerprint.layers // 3
        return {layer: list(range(fingerprint.heads)) for layer in range(third, max(2 * third, third + 1))}
    found: dict[int, list[int]] = {}
    for layer, head in known:
        found.setdefault(layer, []).append(head)
    return found


def _resolve(source: str, home: Path, on_progress: OnProgress | None) -> tuple[str, dict[str, Any], str]:
    """What to hand to from_pretrained: place, keyword arguments, and the model's short name."""
    if source in DEFAULT_NAMES:
        return str(default_model.pull(home, on_progress)), {}, default_model.NAME
    if source == default_model.BASE:
        return str(default_model.pull_base(home, on_progress)), {}, default_model.BASE
    path = Path(source).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelNotFound(source, "there is no such file.")
        return str(path.parent), {"gguf_file": path.name}, path.stem
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelNotFound(source, "the folder has no config.json.")
        return str(path), {}, path.name
    if source.startswith((".", "/", "~")) or source.count("/") != 1:
        raise ModelNotFound(source, "there is no such folder or file, and it is no hub id (owner/name).")
    from huggingface_hub import snapshot_download

    try:
        place = snapshot_download(source, allow_patterns=["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"])
    except Exception as error:
        raise ModelNotFound(source, f"the hub did not give it ({type(error).__name__}).") from error
    return place, {}, source.rsplit("/", 1)[1]


def _load_error(source: str, place: str, error: Exception) -> ModelLoadError:
    text = str(error).strip().splitlines()
    return ModelLoadError(source, f"{text[0] if text else type(error).__name__} (read from {Path(place).name})")


def _stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    ids: set[int] = set()
    for value in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        ids.update(value if isinstance(value, list) else [] if value is None else [value])
    ids.update(i for t in ("<|im_end|>", "<|eot_id|>") if (i := tokenizer.get_vocab().get(t)) is not None)
    return frozenset(ids)


def _fingerprint(model: Any, tokenizer: Any, name: str, place: Path, gguf: str | None, home: Path) -> ModelFingerprint:
    config = model.config
    files = [place / gguf] if gguf else [*place.glob("*.safetensors"), *place.glob("*.bin"), place / "config.json"]
    rope = {
        k: getattr(config, k, None)
        for k in (
            "rope_parameters",
            "rope_scaling",
            "rope_theta",
            "max_position_embeddings",
            "partial_rotary_factor",
            "dual_chunk_attention_config",
        )
    }
    return ModelFingerprint(
        model=name,
        weights=digest_files(files, home / "models" / "digests.json"),
        tokenizer=digest_json(json.loads(tokenizer.backend_tokenizer.to_str())),
        rope=digest_json(rope),
        dtype=str(next(model.parameters()).dtype).removeprefix("torch."),
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or config.num_attention_heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
    )
