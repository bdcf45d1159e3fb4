"""/sign-in and /sign-out: a page of its own that needs no script and fetches nothing."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.http.identity import SESSION_COOKIE, Identities, cookie
from app.http.limits import SignInLimits
from app.http.refused import Refused
from app.library import Library
from app.users import SIGNED_IN

router = APIRouter(include_in_schema=False)
MOST_BYTES = 4096
AT_ONCE = 2
"""Passwords that are checked at the same time: each takes 64 MB."""
WORDS = {
    "en": {
        "title": "Sign in",
        "name": "Name",
        "password": "Password",
        "wrong": "Name or password is wrong.",
        "wait": "Too many attempts. Try again in {} s.",
    },
    "de": {
        "title": "Anmelden",
        "name": "Name",
        "password": "Passwort",
        "wrong": "Name oder Passwort ist falsch.",
        "wait": "Zu viele Versuche. Bitte in {} s noch einmal.",
    },
}
PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title} · Omnibus</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center;
  background: light-dark(#fafaf9, #1c1917); color: light-dark(#1c1917, #fafaf9); }}
main {{ width: min(20rem, 100vw - 3rem); }}
h1 {{ font-size: 1.4rem; margin: 0 0 1.2rem; }}
label {{ display: block; font-weight: 600; font-size: .9rem; margin-bottom: 1rem; }}
input {{ display: block; box-sizing: border-box; width: 100%; margin-top: .3rem; padding: .6rem .7rem; font: inherit;
  font-weight: 400; border: 1px solid light-dark(#78716c, #a8a29e); border-radius: 6px; }}
button {{ width: 100%; padding: .65rem; font: inherit; font-weight: 600; border: 0; border-radius: 6px; cursor: pointer;
  background: #0f766e; color: #fff; }}
:is(input, button):focus-visible {{ outline: 3px solid light-dark(#0f766e, #5eead4); outline-offset: 2px; }}
[role=alert] {{ color: light-dark(#b91c1c, #fca5a5); margin: 0 0 1rem; }}
</style></head><body><main><h1>Omnibus</h1>{problem}<form method="post" action="/sign-in">
<label>{name}<input name="name" value="{said}" autocomplete="username" autocapitalize="none" spellcheck="false"
  required{focus_name}></label>
<label>{password}<input name="password" type="password" autocomplete="current-password"
  required{focus_password}></label>
<button>{title}</button></form></main></body></html>
"""


@router.get("/sign-in", response_model=None)
def form(request: Request) -> Response:
    """The form; the page itself where nobody can sign in by password."""
    identities: Identities = request.app.state.identities
    return _form(request) if identities.by_password else RedirectResponse("/", 303)


@router.post("/sign-in", response_model=None)
async def sign_in(request: Request) -> Response:
    """Check name and password; a browser whose person knew them gets a cookie and goes to the page."""
    library: Library = request.app.state.library
    limits: SignInLimits = request.app.state.sign_in_limits
    name, password = await _fields(request)
    address = request.client.host if request.client else ""
    if (wait := limits.wait_s(address, name)) is not None:
        return _form(request, "wait", said=name, wait=wait)
    checking: CapacityLimiter = request.app.state.checking
    user = await anyio.to_thread.run_sync(library.users.check, name, password, limiter=checking)
    if user is None:
        return _form(request, "wrong", said=name)
    limits.succeeded(address, name)
    secret = await anyio.to_thread.run_sync(library.users.sign_in, user)
    answer = RedirectResponse("/", 303, {"cache-control": "no-store"})
    age = int(SIGNED_IN.total_seconds())
    answer.set_cookie(SESSION_COOKIE, secret, max_age=age, secure=_is_tls(request), httponly=True, samesite="strict")
    return answer


@router.post("/sign-out", response_model=None)
def sign_out(request: Request) -> Response:
    """Forget the browser."""
    if secret := cookie(request.headers, SESSION_COOKIE):
        request.app.state.library.users.sign_out(secret)
    answer = RedirectResponse("/sign-in", 303, {"cache-control": "no-store"})
    answer.delete_cookie(SESSION_COOKIE)
    return answer


async def _fields(request: Request) -> tuple[str, str]:
    """Name and password of the form; raises Refused."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise Refused(413, f"A sign-in has at most {MOST_BYTES} bytes.", "too_large")
    said = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return said.get("name", [""])[0], said.get("password", [""])[0]


def _form(request: Request, problem: str = "", *, said: str = "", wait: int = 0) -> HTMLResponse:
    language = _language(request.headers.get("accept-language", ""))
    words = WORDS[language]
    sentence = words[problem].format(wait) if problem else ""
    html = PAGE.format(
        language=language,
        title=words["title"],
        name=words["name"],
        password=words["password"],
        said=escape(said),
        problem=f'<p role="alert">{sentence}</p>' if problem else "",
        focus_name="" if said else " autofocus",
        focus_password=" autofocus" if said else "",
    )
    headers = {"cache-control": "no-store", **({"retry-after": str(wait)} if wait else {})}
    return HTMLResponse(html, {"": 200, "wrong": 401, "wait": 429}[problem], headers)


def _language(accepted: str) -> str:
    """The first of a browser's languages that we have."""
    spoken = (part.split(";")[0].strip()[:2].lower() for part in accepted.split(","))
    return next((language for language in spoken if language in WORDS), "en")


def _is_tls(request: Request) -> bool:
    """Whether the person's connection is encrypted, by the word of a trusted proxy too."""
    identities: Identities = request.app.state.identities
    forwarded = request.headers.get("x-forwarded-proto") == "https" and identities.is_proxy(request.scope)
    return request.url.scheme == "https" or forwarded
