"""The session store: KV states that are named, verified and never wrong."""

from engine.store.codecs import codec
from engine.store.lookup import Prefix
from engine.store.manifest import Manifest
from engine.store.namespace import Namespace
from engine.store.planner import Plan
from engine.store.store import Store
from engine.store.transfer import export_session, import_session
from engine.store.writer import Saving

__all__ = ["Manifest", "Namespace", "Plan", "Prefix", "Saving", "Store", "codec", "export_session", "import_session"]
