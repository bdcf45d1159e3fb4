"""Gate: what every request passes before it is looked at: host, origin, whose it is, size; and how it is counted."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import time
import uuid
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.identity import TOKEN_COOKIE, Identities, Identity
from app.http.limits import Limits, largest
from app.http.logs import REQUEST_ID as LOGGED_ID
from app.http.logs import log_request
from app.http.metrics import Metrics
from app.http.refused import Refused
from app.http.schemas import error_body
from app.http.tokens import SCOPES, Token, TokenScope
from app.settings import Settings

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
OPEN_PATHS = ("/healthz", "/sign-in", "/sign-out")
PROGRAMS = ("/api/", "/v1/", "/gradio_api/")
"""Where no person looks."""
READING = ("GET", "HEAD")
KINDS = {401: "authentication_error", 429: "rate_limit_error"}


class SignIn(Exception):
    """A person must sign in first."""


class Gate:
    """ASGI middleware. A page elsewhere cannot reach us under a name of its own (DNS rebinding), because a Host that
    is neither an address, this machine's name nor one of the settings' is refused. Nor can it make a browser here send
    anything, because what changes something must come from a page of ours."""

    def __init__(self, app: ASGIApp, settings: Settings, identities: Identities, metrics: Metrics) -> None:
        self._app, self._settings, self._identities, self._metrics = app, settings, identities, metrics
        self._limits = Limits()
        names = {"localhost", socket.gethostname(), settings.host, *settings.allowed_hosts.split(",")}
        self._names = {name.strip().lower() for name in names if name.strip()}
        self._own = {name.strip().lower() for name in settings.allowed_hosts.split(",") if name.strip()}

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
        who = Identity()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            self._check_host(headers.get("host", ""))
            self._check_origin(scope["method"], headers)
            if not await self._signed_in(scope, sending):
                who = self._check_identity(scope, headers)
                scope.setdefault("state", {})["viewer"] = who.user
                await self._app(scope, self._measured(headers, receive, who.token), sending)
        except SignIn:
            await _redirect(sending, "/sign-in")
        except Refused as refused:
            await _refuse(refused, sending)
        finally:
            route = getattr(scope.get("route"), "path", "page")
            self._metrics.requests.labels(scope["method"], route, str(status)).inc()
            milliseconds = round((time.perf_counter() - started) * 1000)
            facts = {"token": who.token.name if who.token else None, "user": who.user.name if who.user else None}
            log_request(
                request_id=request_id, method=scope["method"], route=route, status=status, ms=milliseconds, **facts
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
        if scope["path"] != "/":
            return False
        shown = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not shown or self._identities.tokens.find(shown) is None:
            return False
        secure = "; Secure" if scope["scheme"] == "https" else ""
        cookie = f"{TOKEN_COOKIE}={shown}; HttpOnly; SameSite=Strict; Path=/{secure}"
        await _redirect(send, "/", cookie)
        return True

    def _check_origin(self, method: str, headers: Headers) -> None:
        origin = headers.get("origin")
        if method in READING or origin is None:
            return
        if not self._is_ours(origin, headers.get("host", "")):
            sentence = f"A page of '{origin[:80]}' may not send this. Behind a proxy: OMNIBUS_ALLOWED_HOSTS."
            raise Refused(403, sentence, "wrong_origin")

    def _is_ours(self, origin: str, host: str) -> bool:
        try:
            asked = urlsplit(origin)
            return asked.netloc.lower() == host.lower() or asked.hostname in self._own
        except ValueError:
            return False

    def _check_identity(self, scope: Scope, headers: Headers) -> Identity:
        """Who asks, if that one may; raises Refused."""
        path = scope["path"]
        if path in OPEN_PATHS:
            return Identity()
        who = self._identities.of(scope, headers)
        if who is None:
            raise self._unknown(scope, headers)
        token = who.token
        missing = [need for need in _needs(scope["method"], path, who) if need not in who.scopes]
        if missing:
            whose = f"token '{token.name}'" if token else f"user '{who.user.name if who.user else ''}'"
            raise Refused(403, f"The {whose} may not do this: it lacks '{missing[0]}'.", "missing_scope")
        if token is not None and (wait := self._limits.wait_s(token, path)) is not None:
            sentence = f"The token '{token.name}' may ask {token.per_minute} times a minute. Try again in {wait} s."
            raise Refused(429, sentence, "rate_limit_exceeded", wait)
        return who

    def _unknown(self, scope: Scope, headers: Headers) -> Refused | SignIn:
        """What becomes of a request that is nobody's: a person at a page is sent to sign in."""
        is_page = scope["method"] in READING and "text/html" in headers.get("accept", "")
        if is_page and not scope["path"].startswith(PROGRAMS) and self._identities.by_password:
            return SignIn()
        sentence = "A token is needed: 'Authorization: Bearer …' (or open /?token=… for the page)."
        return Refused(401, sentence, "invalid_api_key")

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


def _needs(method: str, path: str, who: Identity) -> tuple[TokenScope, ...]:
    if path == "/metrics":
        return ("metrics",)
    if path.startswith(("/v1/", "/api/batch")):
        return ("ask",)
    if path.startswith("/api/jobs/") and who.user is not None:
        return ("ask",)  # its own ones
    if path.startswith("/api/"):
        return ("ask",) if method in READING else ("manage",)
    if who.token is None:
        return ("ask",)  # to open the page, which lets a reader change nothing
    return SCOPES[:2]  # a token's page can do both


async def _redirect(send: Send, to: str, cookie: str | None = None) -> None:
    start = {"location": to, "cache-control": "no-store", **({"set-cookie": cookie} if cookie else {})}
    pairs = [(k.encode(), v.encode("latin-1")) for k, v in start.items()]
    await send({"type": "http.response.start", "status": 303, "headers": pairs})
    await send({"type": "http.response.body", "body": b""})


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
