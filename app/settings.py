"""Settings: what a person may set, by OMNIBUS_… in the environment or by keyword."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.errors import StoreError

if TYPE_CHECKING:
    from engine.decode.sampling import Sampling


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
    generator_url: str = Field(default="", pattern=r"^(https?://.+)?$")
    """Base (http://…/v1) of another OpenAI-compatible server that answers in the local model's place."""
    generator_model: str = ""
    """The model to ask there; its first by default."""
    generator_key: str = Field(default="", repr=False)
    generator_window: int | None = Field(default=None, ge=256)
    """Tokens that it takes, where it does not tell."""
    secrets: Literal["patterns", "detect-secrets"] = "patterns"
    """What looks for credentials to mask: our own patterns, or bc-detect-secrets (extra `secrets`)."""
    kv_codec: Literal["raw", "fp8", "int8", "int4"] = "raw"
    """How the session store writes KV down; all but raw save space and round the states."""
    sparse: bool = False
    """Whether passages are picked by sparse vectors too, made in memory at the first question (extra `sparse`)."""
    sparse_model: Path | None = None
    """Folder of a masked language model trained as SPLADE whose weights take the place of the corpus's own there."""
    kv_salt: str = ""
    """Keeps the KV of who sets it apart from others' in one store; no request can set it."""
    store_quota_gb: float = Field(default=50.0, gt=0)
    store: str = ""
    """Another folder for the session store, or an object store's address: s3://bucket/folder."""
    store_catalogue: SecretStr = SecretStr("")
    """postgresql://user:password@host/database, where several machines share the session store."""
    store_key: SecretStr = SecretStr("")
    """64 hexadecimal digits: the session store's files are encrypted with it from their beginning on."""
    store_key_file: Path | None = None
    """A file that holds such a key instead."""
    host: str = "127.0.0.1"
    port: int = Field(default=8321, ge=0, le=65535)
    allowed_hosts: str = ""
    """Names, between commas, under which the server answers besides addresses, localhost and the machine's own name."""
    proxy_address: str = ""
    """Addresses or networks, between commas, of reverse proxies whose `proxy_user_header` is believed."""
    proxy_user_header: str = ""
    """The header in which that proxy names the user whom it signed in, as X-Forwarded-User."""
    queue_limit: int = Field(default=64, ge=0)
    """How many requests may wait for the engine; further ones are told when to come back (429)."""
    max_upload_mb: int = Field(default=64, ge=1)

    @field_validator("proxy_address")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for part in _between_commas(value):
            ip_network(part)
        return value

    @field_validator("proxy_user_header")
    @classmethod
    def _has_a_proxy(cls, value: str, info: ValidationInfo) -> str:
        if value and not info.data.get("proxy_address"):
            raise ValueError("anyone could send that header: say in OMNIBUS_PROXY_ADDRESS whose is believed")
        return value

    def drawn(self, sampling: Sampling | None, max_new_tokens: int | None = None) -> Sampling:
        """How tokens are drawn: as asked, else greedily up to `max_new_tokens` here; the argument goes before both."""
        from engine.decode.sampling import Sampling

        if sampling is None:
            return Sampling(max_new_tokens=max_new_tokens or self.max_new_tokens)
        return replace(sampling, max_new_tokens=max_new_tokens or sampling.max_new_tokens)

    @property
    def proxies(self) -> list[str]:
        """The addresses and networks of `proxy_address`."""
        return _between_commas(self.proxy_address)

    @property
    def store_catalogue_here(self) -> Path | None:
        """Where the catalogue of an object store is, a file for each address; None where it lies with the chunks."""
        if "://" not in self.store:
            return None
        return self.home / "catalogues" / f"{sha256(self.store.encode()).hexdigest()[:16]}.db"

    @property
    def store_secret(self) -> str:
        """The session store's key; empty where there is none. Raises StoreError where its file cannot be read."""
        if self.store_key_file is None:
            return self.store_key.get_secret_value()
        try:
            return self.store_key_file.read_text()
        except OSError as error:
            raise StoreError(f"The key file {self.store_key_file} cannot be read: {error.strerror}.") from error

    @property
    def database(self) -> Path:
        """The library's SQLite file."""
        return self.home / "library.db"


def _between_commas(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
