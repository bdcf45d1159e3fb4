"""Identity: whose request it is, by a trusted proxy's word, a token, or the cookie of a browser that signed in."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.types import Scope

from app.http.refused import Refused
from app.http.tokens import SCOPES, Token, Tokens, TokenScope
from app.library import Library
from app.users import User

TOKEN_COOKIE = "omnibus_token"
SESSION_COOKIE = "omnibus_session"
MAY: dict[str, tuple[TokenScope, ...]] = {"admin": SCOPES, "reader": ("ask",)}
"""What each role covers of what tokens are made for."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. Neither user nor token: a server on loopback that asks nobody. The user limits what is seen."""

    user: User | None = None
    token: Token | None = None

    @property
    def scopes(self) -> tuple[TokenScope, ...]:
        """What may be done: what the token is for, as far as the user's role covers it."""
        role = MAY[self.user.role] if self.user else SCOPES
        return tuple(scope for scope in role if self.token is None or scope in self.token.scopes)


class Identities:
    """Tells whose a request is; users and tokens that are made or taken back count at once."""

    def __init__(self, library: Library) -> None:
        self._library, self._settings = library, library.settings
        self.tokens = Tokens(library.settings.home)
        self._proxies = [ipaddress.ip_network(network) for network in library.settings.proxies]

    @property
    def by_password(self) -> bool:
        """Whether a person can sign in on the page."""
        return self._library.users.any()

    @property
    def required(self) -> bool:
        """Whether a request must be somebody's: once there is a user, a token, or a proxy that names its users."""
        return bool(self._settings.proxy_user_header) or self.tokens.required or self.by_password

    def of(self, scope: Scope, headers: Headers) -> Identity | None:
        """Whose request it is, null where it shows nothing that we know; raises Refused."""
        if not self.required:
            if not is_loopback(_address(scope)):
                sentence = (
                    "Nobody may use this server from another machine yet. On its own machine, make a user or a token: "
                    "omnibus user add NAME --admin, or omnibus token new NAME."
                )
                raise Refused(403, sentence, "no_users")
            return Identity()
        if named := self._named_by_proxy(scope, headers):
            return Identity(named)
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._by_token(shown.strip())
        if secret := cookie(headers, SESSION_COOKIE):
            user = self._library.users.signed_in(secret)
            return Identity(user) if user else None
        return self._by_token(cookie(headers, TOKEN_COOKIE))

    def is_proxy(self, scope: Scope) -> bool:
        """Whether the request comes from the proxy that is trusted."""
        try:
            address = _plain(ipaddress.ip_address(_address(scope)))
        except ValueError:
            return False
        return any(address in network for network in self._proxies)

    def _named_by_proxy(self, scope: Scope, headers: Headers) -> User | None:
        header = self._settings.proxy_user_header
        if not header or not self.is_proxy(scope) or header not in headers:
            return None
        names = headers.getlist(header)
        user = self._library.users.named(names[0]) if len(names) == 1 else None
        if user is None:
            sentence = (
                f"'{', '.join(names)[:80]}' is no user here. Ask an administrator: omnibus user add NAME --proxied"
            )
            raise Refused(403, sentence, "unknown_user")
        return user

    def _by_token(self, shown: str) -> Identity | None:
        token = self.tokens.find(shown)
        if token is None or token.user is None:
            return None if token is None else Identity(None, token)
        user = self._library.users.named(token.user)
        return Identity(user, token) if user else None


def cookie(headers: Headers, name: str) -> str:
    """A cookie's value, empty where there is none."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def is_loopback(address: str) -> bool:
    """Whether an address or name is this machine's own; so is no address at all, a Unix socket's."""
    if address in ("", "localhost"):
        return True
    try:
        return _plain(ipaddress.ip_address(address)).is_loopback
    except ValueError:
        return False


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Without the IPv6 form of an IPv4 address."""
    return getattr(address, "ipv4_mapped", None) or address


def _address(scope: Scope) -> str:
    """Where the connection comes from."""
    client = scope.get("client")
    return str(client[0]) if client else ""
