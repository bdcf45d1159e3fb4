"""omnibus token new, ls, rm: who may use the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import JsonOption, err, fail, library, out, print_json, print_table

if TYPE_CHECKING:
    from app.http.tokens import TokenScope

app = typer.Typer(
    help="Tokens for the server. Once one was made, nobody gets in without; they are kept as digests only.",
    no_args_is_help=True,
)
NameArgument = Annotated[str, typer.Argument(help="Name of the token.", show_default=False)]


@app.command()
def new(
    name: NameArgument,
    scope: Annotated[
        list[str] | None, typer.Option(help="ask, manage or metrics; may be given again. Default: ask and manage.")
    ] = None,
    per_minute: Annotated[int | None, typer.Option(min=1, help="Requests a minute that it may make.")] = None,
    max_mb: Annotated[int | None, typer.Option(min=1, help="Largest request that it may make, in MB.")] = None,
    user: Annotated[
        str | None, typer.Option(help="Whose collections it sees, and whose role limits it; else it sees all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token and print it; it cannot be shown again."""
    from app.http.tokens import SCOPES, Tokens

    wanted = scope or ["ask", "manage"]
    chosen: tuple[TokenScope, ...] = tuple(known for known in SCOPES if known in wanted)
    if unknown := [s for s in wanted if s not in SCOPES]:
        raise fail(f"There is no scope '{unknown[0]}'. Choose from: {', '.join(SCOPES)}.", 2)
    with library() as lib:
        if user is not None and lib.users.named(user) is None:
            raise fail(f"There is no user '{user}'. See: omnibus user ls")
        secret = Tokens(lib.settings.home).new(name, chosen, per_minute=per_minute, max_mb=max_mb, user=user)
        if as_json:
            print_json({"name": name, "scopes": chosen, "token": secret})
            return
        out.print(secret, markup=False)
        err.print(f"Keep it: only its digest is stored. It may: {', '.join(chosen)}.", style="dim", markup=False)


@app.command()
def ls(as_json: JsonOption = False) -> None:
    """List the tokens, never the secrets."""
    from app.http.tokens import Tokens

    with library() as lib:
        tokens = Tokens(lib.settings.home).all()
        if as_json:
            keys = ("name", "user", "scopes", "created", "per_minute", "max_mb")
            print_json([{key: getattr(t, key) for key in keys} for t in tokens])
        else:
            rows = [
                (t.name, t.user or "", ", ".join(t.scopes), _limits(t.per_minute, t.max_mb), t.created) for t in tokens
            ]
            print_table(("token", "user", "may", "limits", "made"), rows)


@app.command()
def rm(name: NameArgument) -> None:
    """Take a token back; the server refuses it from then on."""
    from app.http.tokens import Tokens

    with library() as lib:
        Tokens(lib.settings.home).remove(name)
        out.print(f"The token '{name}' is taken back.", markup=False)


def _limits(per_minute: int | None, max_mb: int | None) -> str:
    said = [f"{per_minute} a minute"] if per_minute else []
    return ", ".join([*said, f"{max_mb} MB"] if max_mb else said)
