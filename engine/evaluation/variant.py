"""Variant: one way of reading the same prompts: a policy, and where the KV has been before it is asked."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from engine.context import Context
from engine.engine import Engine
from engine.errors import UnknownPolicy
from engine.evaluation.errors import NoStoreHere
from engine.models.model import LanguageModel
from engine.policies import policy_by_name
from engine.policies.base import Policy
from engine.policies.by_name import POLICIES
from engine.policies.minference import MInference
from engine.prefill.crossover import border


@dataclass(frozen=True, slots=True)
class Variant:
    """A policy; with a codec, its KV is written to a session store in it and restored before the first question."""

    name: str
    policy: Policy
    codec: str | None = None

    def context(self, model: LanguageModel, tokens: Sequence[int]) -> Context:
        """The corpus read this way. Raises what Engine.context raises."""
        if self.codec is None:
            return Engine(model, policy=self.policy).context(tokens, save=False)
        package = store_package(self.name)
        with tempfile.TemporaryDirectory() as folder, closing(package.Store(Path(folder))) as store:
            engine = Engine(model, policy=self.policy, store=store, codec=self.codec)
            read = engine.context(tokens)
            density, recall = read.stats.density, read.stats.recall
            del read
            store.flush()
            return restored(engine, tokens, density, recall)


def store_package(variant: str) -> ModuleType:
    """engine.store, which the evaluation can do without; raises NoStoreHere where a package of its is missing."""
    try:
        import_module("engine.store.store")
        return import_module("engine.store")
    except ModuleNotFoundError as error:
        raise NoStoreHere(variant, str(error.name)) from None


def restored(engine: Engine, tokens: Sequence[int], density: float | None, recall: float | None) -> Context:
    """The context from the engine's store, with what was computed and kept when it was read."""
    from dataclasses import replace

    context = engine.context(tokens, save=False)
    context.stats = replace(context.stats, density=density, recall=recall)
    return context


def variant_by_name(spec: str, model: LanguageModel) -> Variant:
    """`POLICY` or `POLICY@CODEC` (`dense@raw`, `auto@fp8`); `auto` begins where the application's would.

    Raises UnknownPolicy, StoreError, PatternFileError, NoStoreHere.
    """
    name, _, codec = spec.partition("@")
    policy = policy_by_name(name, model.config, model.device.type, border(model.home, model))
    if codec and codec != "raw":
        store_package(spec).codec(codec)
    return Variant(spec, policy, codec or None)


def split_variants(text: str) -> list[str]:
    """The variants in a list between commas; a policy's own commas stay with it: `dense,auto:recall=0.9,minimum=0`."""
    known = {*POLICIES, MInference.name}
    out: list[str] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        if re.split("[:@]", part)[0] in known:
            out.append(part)
        elif out:
            out[-1] += f",{part}"
        else:
            raise UnknownPolicy(part, f"known are {', '.join(sorted(known))}.")
    return out
