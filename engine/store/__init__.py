"""The session store: KV states that are named, verified and never wrong.

Its names are imported when they are asked for: how chunks are written and restored needs no database.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.store.codecs import codec
    from engine.store.lookup import Prefix
    from engine.store.manifest import Manifest
    from engine.store.namespace import Namespace
    from engine.store.planner import Plan
    from engine.store.store import Store
    from engine.store.transfer import export_session, import_session
    from engine.store.writer import Saving

__all__ = ["Manifest", "Namespace", "Plan", "Prefix", "Saving", "Store", "codec", "export_session", "import_session"]
_HOMES = {
    "Manifest": "manifest",
    "Namespace": "namespace",
    "Plan": "planner",
    "Prefix": "lookup",
    "Saving": "writer",
    "Store": "store",
    "codec": "codecs",
    "export_session": "transfer",
    "import_session": "transfer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
