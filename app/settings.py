"""Settings: what a person may set, by OMNIBUS_… in the environment or by keyword."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every field can be set as OMNIBUS_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="OMNIBUS_", extra="ignore")

    home: Path = Field(default_factory=lambda: user_data_path("omnibus", appauthor=False))
    """Where models, the library and the session store live."""
    model: str = "default"
    """'default', a hub id, a folder, or a .gguf file."""
    device: str = "auto"
    dtype: str = "auto"
    policy: str = "auto"
    """Which keys prefill reads: auto, auto:recall=0.98, dense, xattention, minference:FILE, … (engine.policies)."""
    chunk_tokens: int | None = Field(default=None, ge=16)
    segment_tokens: int | None = Field(default=None, ge=16)
    max_new_tokens: int = Field(default=256, ge=1)
    kv_codec: Literal["raw", "fp8", "int8", "int4"] = "raw"
    """How the session store writes KV down; all but raw save space and round the states."""
    sparse: bool = False
    """Whether passages are picked by sparse vectors too, made in memory at the first question (extra `sparse`)."""
    kv_salt: str = ""
    """Keeps the KV of who sets it apart from others' in one store; no request can set it."""
    store_quota_gb: float = Field(default=50.0, gt=0)
    host: str = "127.0.0.1"
    port: int = Field(default=8321, ge=0, le=65535)
    allowed_hosts: str = ""
    """Names, between commas, under which the server answers besides addresses, localhost and the machine's own name."""
    queue_limit: int = Field(default=64, ge=0)
    """How many requests may wait for the engine; further ones are told when to come back (429)."""
    max_upload_mb: int = Field(default=64, ge=1)

    @property
    def database(self) -> Path:
        """The library's SQLite file."""
        return self.home / "library.db"
