"""Wire: requests to a server over HTTP, its answers as JSON, text or server-sent events, its errors as ours."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

import anyio
import httpx

from app.cut_short import unless
from app.errors import OmnibusError
from engine.events import CancelToken

LOOK_UP_S = 0.1
TIMEOUT = httpx.Timeout(10.0, read=None)
"""Reading a corpus may take an hour before the first byte of an answer comes."""
T = TypeVar("T")


class RemoteError(OmnibusError):
    """The server refused or could not be reached; `status` is its HTTP status (0 without one)."""

    def __init__(self, message: str, status: int = 0, code: str | None = None) -> None:
        self.status, self.code = status, code
        super().__init__(message)


class Unreachable(RemoteError):
    """The server does not answer; `hint` says what may help."""

    def __init__(self, url: str, cause: str, hint: str) -> None:
        self.url, self.cause, self.hint = url, cause, hint
        super().__init__(f"No answer from {url} ({cause}). {hint}".rstrip())


class BrokeOff(RemoteError):
    """The server's answer ended before it was complete."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(f"The answer from {url} broke off. Ask again.")


class Wire:
    """One server; `hint` is said where it does not answer."""

    def __init__(self, url: str, *, token: str | None = None, hint: str = "") -> None:
        self.url, self._hint = url.rstrip("/"), hint
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=self.url, headers=self._headers, timeout=TIMEOUT)

    def call(self, method: str, path: str, **more: Any) -> Any:
        """The server's answer as JSON, None where it has none; raises RemoteError with the server's sentence."""
        answer = self._request(method, path, **more)
        return answer.json() if answer.content else None

    def text(self, path: str) -> str:
        """What the server has at a path, as text; raises RemoteError."""
        return self._request("GET", path).text

    async def lines(self, path: str, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The server-sent events of a request; raises RemoteError."""
        try:
            async with (
                httpx.AsyncClient(base_url=self.url, headers=self._headers, timeout=TIMEOUT) as client,
                client.stream("POST", path, json=body) as answer,
            ):
                if answer.status_code >= 400:
                    _check(answer.status_code, await answer.aread())
                async for line in answer.aiter_lines():
                    if line.startswith("data: {"):
                        event = json.loads(line.removeprefix("data: "))
                        if "error" in event:
                            raise RemoteError(event["error"]["message"], answer.status_code)
                        yield event
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **more)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        _check(answer.status_code, answer.content)
        return answer

    def _unreachable(self, error: Exception) -> RemoteError:
        return Unreachable(self.url, type(error).__name__, self._hint)


def until_cancelled(work: Callable[[], Awaitable[T]], token: CancelToken) -> T:
    """Run a coroutine to its end on a loop of its own; raises Cancelled soon after the token says so."""

    async def cancelled() -> bool:
        return token.cancelled

    return anyio.run(lambda: unless(cancelled, work, every=LOOK_UP_S))


def _check(status: int, content: bytes) -> None:
    """Raise RemoteError for an answer that is an error."""
    if status < 400:
        return
    try:
        error = json.loads(content)["error"]
        message, code = error["message"], error["code"]
    except (ValueError, KeyError, TypeError):
        message, code = f"The server answered with status {status}.", None
    raise RemoteError(message, status, code)
