"""PageGuard: which of Gradio's routes are open, and that a page's session is its user's own.

Gradio names a session by a string that the browser makes up and sends with every event. Whoever knows it would see that
session's answers and act in it, so the first user who sends one keeps it.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.refused import Refused
from app.users import User

OURS = re.compile(r"/(api|v1)/.*|/(healthz|metrics|openapi\.json|sign-in|sign-out)")
SHOWN = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json)|/(assets|static|svelte)/.+"
    r"|/gradio_api/(startup-events|theme\.css|upload_progress)"
)
"""What is the same for everybody."""
HEARTBEAT = re.compile(r"/gradio_api/heartbeat/([^/]+)")
STREAM = "/gradio_api/queue/data"
EVENTS = ("/gradio_api/queue/join", "/gradio_api/run/predict", "/gradio_api/cancel")
UPLOAD = "/gradio_api/upload"
MOST = 100_000
"""Sessions whose user is remembered; one that was not used longest is forgotten first."""


class PageGuard:
    """ASGI middleware behind the gate. What the page does not need of Gradio, its file routes first, is not there."""

    def __init__(self, app: ASGIApp, uploads: Path) -> None:
        self._app, self._uploads = app, uploads.resolve()
        self._owners: OrderedDict[str, int | None] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what the page may ask; raises Refused."""
        if scope["type"] == "http" and not OURS.fullmatch(scope["path"]):
            receive = await self._checked(scope, receive)
        await self._app(scope, receive, send)

    async def _checked(self, scope: Scope, receive: Receive) -> Receive:
        method, path, viewer = scope["method"], scope["path"], scope["state"]["viewer"]
        if method in ("GET", "HEAD"):
            if SHOWN.fullmatch(path):
                return receive
            if beat := HEARTBEAT.fullmatch(path):
                self._own(beat[1], viewer)
                return receive
            if path == STREAM:
                self._own(parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0], viewer)
                return receive
        if method == "POST" and path == UPLOAD:
            if viewer is None or viewer.is_admin:
                return receive
            raise Refused(403, f"'{viewer.name}' may not add documents. Ask an administrator.", "not_allowed")
        if method == "POST" and path in EVENTS:
            return await self._event(viewer, receive)
        raise Refused(404, f"There is no {method} {path[:80]}.", "not_found")

    async def _event(self, viewer: User | None, receive: Receive) -> Receive:
        """The body again once it is known whose session it is for, and that its files were uploaded.

        A mounted Gradio (6.31) looks at neither: any path of this machine would be read.
        """
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise Refused(499, "The browser went away.", "cancelled")
            body += message.get("body", b"")
            more = message.get("more_body", False)
        try:
            said = json.loads(body)
            self._own(said["session_hash"], viewer)
            files = list(_files(said.get("data")))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Refused(400, "This is no event of the page.", "not_an_event") from None
        if not all(self._is_upload(path) for path in files):
            raise Refused(400, "An event of the page names files that were uploaded, no others.", "not_an_upload")
        sent = False

        async def again() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        return again

    def _is_upload(self, path: object) -> bool:
        if not isinstance(path, str) or "\x00" in path:
            return False
        return Path(path).is_absolute() and Path(path).resolve().is_relative_to(self._uploads)

    def _own(self, session: object, viewer: User | None) -> None:
        """Make a session the viewer's, or raise Refused where it is another's."""
        if not isinstance(session, str) or not session:
            raise Refused(400, "An event of the page names its session.", "not_an_event")
        who = viewer.id if viewer else None
        if self._owners.setdefault(session, who) != who:
            raise Refused(403, "This session is another user's. Reload the page.", "not_allowed")
        self._owners.move_to_end(session)
        if len(self._owners) > MOST:
            self._owners.popitem(last=False)


def _files(value: Any) -> list[Any]:
    """The paths of all files that an event's data name."""
    if isinstance(value, list):
        return [path for part in value for path in _files(part)]
    if not isinstance(value, dict):
        return []
    own = [value["path"]] if "path" in value else []
    return own + [path for part in value.values() for path in _files(part)]
