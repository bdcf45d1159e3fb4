"""omnibus user add, ls, passwd, rm, grant, revoke: who may use the server, and which collections they see."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app.cli.console import JsonOption, fail, library, out, print_json, print_table

app = typer.Typer(
    help="Users of the server. Once there is one, nobody gets in without signing in; passwords are kept as argon2id.",
    no_args_is_help=True,
)
NameArgument = Annotated[str, typer.Argument(help="Name of the user.", show_default=False)]
Collections = Annotated[list[str], typer.Argument(help="Names of collections.", show_default=False)]


@app.command()
def add(
    name: NameArgument,
    admin: Annotated[
        bool, typer.Option("--admin", help="Sees every collection, adds and deletes; others ask what is granted.")
    ] = False,
    proxied: Annotated[
        bool, typer.Option("--proxied", help="No password: signed in by the proxy of OMNIBUS_PROXY_USER_HEADER.")
    ] = False,
) -> None:
    """Make a user; the password is asked for, or read as a line from a pipe."""
    with library() as lib:
        user = lib.users.add(name, "admin" if admin else "reader", None if proxied else _password())
        out.print(f"The {user.role} '{name}' is made.", markup=False)
        if not admin:
            out.print(f"Let it see collections with: omnibus user grant {name} COLLECTION", markup=False)


@app.command()
def ls(as_json: JsonOption = False) -> None:
    """List the users and what they see."""
    with library() as lib:
        users = lib.users.all()
        if as_json:
            print_json(users)
            return
        rows = [
            (u.name, u.role, "all" if u.is_admin else ", ".join(u.collections), "password" if u.signs_in else "proxy")
            for u in users
        ]
        print_table(("user", "role", "sees", "signs in by"), rows)


@app.command()
def passwd(name: NameArgument) -> None:
    """Give a user another password; it is signed out everywhere."""
    with library() as lib:
        lib.users.set_password(name, _password())
        out.print(f"'{name}' has another password.", markup=False)


@app.command()
def rm(name: NameArgument) -> None:
    """Forget a user, its conversations and its batches."""
    from app.batch import batches

    with library() as lib:
        lib.users.remove(name)
        batches.forget_old(lib)
        out.print(f"The user '{name}' is forgotten.", markup=False)


@app.command()
def grant(name: NameArgument, collections: Collections) -> None:
    """Let a user see collections."""
    with library() as lib:
        _tell(lib.users.grant(name, collections).collections, name)


@app.command()
def revoke(name: NameArgument, collections: Collections) -> None:
    """Let a user see collections no more."""
    with library() as lib:
        _tell(lib.users.revoke(name, collections).collections, name)


def _tell(collections: tuple[str, ...], name: str) -> None:
    out.print(f"'{name}' is granted: {', '.join(collections) or 'nothing'}.", markup=False)


def _password() -> str:
    """A new password, typed twice without being shown, or the first line of what is piped in."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    line = sys.stdin.readline().rstrip("\n")
    if not line:
        raise fail("There is no password. Type it in a terminal, or pipe it in as a line.", 2)
    return line
