"""Gate: what every request passes before it is looked at: its host, its size, its token; and how it is counted."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import time
import uuid
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.limits import Limits, largest
from app.http.logs import REQUEST_ID as LOGGED_ID
from app.http.logs import log_request
from app.http.metrics import Metrics
from app.http.schemas import error_body
from app.http.tokens import SCOPES, Token, Tokens, TokenScope
from app.settings import Settings

COOKIE = "omnibus_token"
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
OPEN_PATHS = ("/healthz",)
READING = ("GET", "HEAD")
KINDS = {401: "authentication_error", 429: "rate_limit_error"}


class Refused(Exception):
    """A request that goes no further: status, sentence, OpenAI's code, and seconds after which it may come again."""

    def __init__(self, status: int, message: str, code: str, retry_after: int | None = None) -> None:
        self.status, self.message, self.code, self.retry_after = status, message, code, retry_after
        super().__init__(message)


class Gate:
    """ASGI middleware. A page elsewhere cannot reach us under a name of its own (DNS rebinding), because a Host that
    is neither an address, this machine's name nor one of the settings' is refused."""

    def __init__(self, app: ASGIApp, settings: Settings, tokens: Tokens, metrics: Metrics) -> None:
        self._app, self._settings, self._tokens, self._metrics = app, settings, tokens, metrics
        self._limits = Limits()
        names = {"localhost", socket.gethostname(), settings.host, *settings.allowed_hosts.split(",")}
        self._names = {name.strip().lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through or answer it here; either way it gets an id, a log line and a count."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                return  # nothing here speaks it
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        said = headers.get("x-request-id", "")
        request_id = said if REQUEST_ID.fullmatch(said) else uuid.uuid4().hex
        LOGGED_ID.set(request_id)
        started, status = time.perf_counter(), 500
        token: Token | None = None

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            self._check_host(headers.get("host", ""))
            if not await self._signed_in(scope, sending):
                token = self._check_token(scope, headers)
                scope.setdefault("state", {})["viewer"] = None
                await self._app(scope, self._measured(headers, receive, token), sending)
        except Refused as refused:
            await _refuse(refused, sending)
        finally:
            route = getattr(scope.get("route"), "path", "page")
            self._metrics.requests.labels(scope["method"], route, str(status)).inc()
            milliseconds = round((time.perf_counter() - started) * 1000)
            who = token.name if token else None
            log_request(
                request_id=request_id, method=scope["method"], route=route, status=status, ms=milliseconds, token=who
            )

    def _check_host(self, host: str) -> None:
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        name = name.strip("[]").lower()
        if name in self._names:
            return
        try:
            ipaddress.ip_address(name)
        except ValueError:
            sentence = f"This server does not answer as '{name[:80]}'. Add the name to OMNIBUS_ALLOWED_HOSTS."
            raise Refused(421, sentence, "wrong_host") from None

    async def _signed_in(self, scope: Scope, send: Send) -> bool:
        """Turn `/?token=…` into a cookie, so that a browser can open the page."""
        if scope["path"] != "/" or not self._tokens.required:
            return False
        shown = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not shown or self._tokens.find(shown) is None:
            return False
        cookie = f"{COOKIE}={shown}; HttpOnly; SameSite=Strict; Path=/"
        start = {"location": "/", "set-cookie": cookie, "cache-control": "no-store"}
        pairs = [(k.encode(), v.encode("latin-1")) for k, v in start.items()]
        await send({"type": "http.response.start", "status": 303, "headers": pairs})
        await send({"type": "http.response.body", "body": b""})
        return True

    def _check_token(self, scope: Scope, headers: Headers) -> Token | None:
        """The token that was shown, None where none is needed; raises Refused."""
        path = scope["path"]
        if path in OPEN_PATHS or not self._tokens.required:
            return None
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
            shown = cookie.value if cookie else ""
        token = self._tokens.find(shown.strip())
        if token is None:
            sentence = "A token is needed: 'Authorization: Bearer …' (or open /?token=… for the page)."
            raise Refused(401, sentence, "invalid_api_key")
        missing = [need for need in _needs(scope["method"], path) if need not in token.scopes]
        if missing:
            raise Refused(403, f"The token '{token.name}' may not do this: it lacks '{missing[0]}'.", "missing_scope")
        if (wait := self._limits.wait_s(token, path)) is not None:
            sentence = f"The token '{token.name}' may ask {token.per_minute} times a minute. Try again in {wait} s."
            raise Refused(429, sentence, "rate_limit_exceeded", wait)
        return token

    def _measured(self, headers: Headers, receive: Receive, token: Token | None) -> Receive:
        """The body, refused once it is larger than an upload may be."""
        limit, seen = largest(token, self._settings.max_upload_mb), 0
        too_large = Refused(413, f"The request is larger than {limit >> 20} MB.", "too_large")
        if int(headers.get("content-length") or 0) > limit:
            raise too_large

        async def receiving() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise too_large
            return message

        return receiving


def _needs(method: str, path: str) -> tuple[TokenScope, ...]:
    if path == "/metrics":
        return ("metrics",)
    if path.startswith(("/v1/", "/api/batch")):
        return ("ask",)
    if path.startswith("/api/"):
        return ("ask",) if method in READING else ("manage",)
    return SCOPES[:2]  # the page can do both


async def _refuse(refused: Refused, send: Send) -> None:
    kind = KINDS.get(refused.status, "invalid_request_error")
    body = json.dumps(error_body(refused.message, kind, code=refused.code)).encode()
    pairs = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refused.status == 401:
        pairs.append((b"www-authenticate", b"Bearer"))
    if refused.retry_after is not None:
        pairs.append((b"retry-after", str(refused.retry_after).encode()))
    await send({"type": "http.response.start", "status": refused.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
