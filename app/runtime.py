"""Runtime: the model and the session store, each opened at first use and shared by every view of a library."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from app.settings import Settings

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.events import OnProgress
    from engine.store import Store


class Runtime:
    """What the settings name, in memory; threads may share it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loading, self._opening = threading.Lock(), threading.Lock()
        self._engine: Engine | None = None
        self._plain: Engine | None = None
        self._store: Store | None = None

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._engine is not None

    def engine(self, on_progress: OnProgress | None = None) -> Engine:
        """The engine, its model loaded once; raises the engine's errors."""
        with self._loading:
            if self._engine is None:
                self._engine = self._load(self._settings.model, on_progress)
            return self._engine

    def plain_engine(self, on_progress: OnProgress | None = None) -> Engine:
        """The engine for questions without documents: of the model that the table names in this one's place, or this.

        It is loaded at its first use, beside the other; raises the engine's errors.
        """
        engine = self.engine(on_progress)
        with self._loading:
            if engine.model.plain is None:
                return engine
            if self._plain is None:
                self._plain = self._load(engine.model.plain, on_progress)
            return self._plain

    def _load(self, name: str, on_progress: OnProgress | None) -> Engine:
        from engine.engine import Engine
        from engine.models.model import LanguageModel
        from engine.policies import policy_by_name
        from engine.prefill.crossover import border

        s = self._settings
        model = LanguageModel.load(name, device=s.device, dtype=s.dtype, home=s.home, on_progress=on_progress)
        return Engine(
            model,
            store=self.store,
            policy=policy_by_name(s.policy, model.config, model.device.type, border(s.home, model, s.chunk_tokens)),
            chunk_tokens=s.chunk_tokens,
            segment_tokens=s.segment_tokens,
            codec=s.kv_codec,
            salt=s.kv_salt,
        )

    def use(self, *, model: str | None, policy: str | None) -> None:
        """Go on with another model, loaded when it is needed, or another policy; raises UnknownPolicy."""
        from engine.policies import policy_by_name

        changes: dict[str, Any] = {k: v for k, v in {"model": model, "policy": policy}.items() if v is not None}
        with self._loading:
            if policy is not None:
                mine = self._engine.model if self._engine else None
                chosen = policy_by_name(policy, mine.config if mine else None, mine.device.type if mine else "cpu")
                for engine in filter(None, (self._engine, self._plain)):
                    engine.policy = chosen
            if model is not None and model != self._settings.model:
                self._engine = self._plain = None
            for name, value in changes.items():  # in place: every view of the library shares them
                setattr(self._settings, name, value)

    @property
    def store(self) -> Store:
        """The session store; no model is needed for it."""
        with self._opening:
            if self._store is None:
                from engine.store import Store

                s = self._settings
                catalogue = s.store_catalogue.get_secret_value() or s.store_catalogue_here
                quota = int(s.store_quota_gb * 1e9)
                place = s.store or s.home / "sessions"
                self._store = Store(place, quota_bytes=quota, key=s.store_secret, catalogue=catalogue)
            return self._store

    def close(self) -> None:
        """Let the model and the store go."""
        if self._store is not None:
            self._store.close()
        self._engine = self._plain = self._store = None
