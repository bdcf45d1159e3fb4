"""The library panel: a collection's documents with their verdicts, the token tree, and its watched folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from app.document_info import DocumentInfo
from app.planning.planner import Branch, Plan, PlannedDocument, branches
from app.planning.rules import Ruling
from app.users import User
from ui.texts import Texts

SHOWN = 400
"""Rows of the table; more make a browser slow."""
SHARES = {"outlined": "outlined", "listed": "listed"}


def empty(say: Texts, server: str = "") -> str:
    """What stands where there is no document; `server` is the other engine that answers, if one does."""
    where = say("sent", server=server) if server else say("stay")
    return f'<div class="empty"><p>{escape(say("none_yet"))}</p><p>{escape(say("drop"))} {escape(where)}</p></div>'


def unseen(say: Texts) -> str:
    """What stands where a person may not look."""
    return f'<div class="empty"><p>{escape(say("unseen"))}</p></div>'


def signed_in(user: User, say: Texts) -> str:
    """Who is signed in, with a button that ends it."""
    return (
        f'<form method="post" action="/sign-out">{escape(say("signed_in"))} <strong>{escape(user.name)}</strong> '
        f"<button>{escape(say('sign_out'))}</button></form>"
    )


def documents(
    infos: Sequence[DocumentInfo], ruling: Ruling, say: Texts, plan: Plan | None = None, *, server: str = ""
) -> str:
    """HTML table of documents with their verdicts and what can be done with each; tokens where a plan counted them."""
    if not infos:
        return empty(say, server)
    planned = {d.path: d for d in plan.documents} if plan else {}
    rows = "".join(_row(info, planned.get(info.path), ruling, say) for info in infos[:SHOWN])
    heads = "".join(f'<th scope="col">{escape(say(key))}</th>' for key in ("document", "pages", "tokens"))
    more = f"<p>{escape(say('more_documents', count=len(infos) - SHOWN))}</p>" if len(infos) > SHOWN else ""
    return (
        f'<div class="documents" tabindex="0" role="region" aria-label="{escape(say("library"))}"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{more}{_tree(plan, say) if plan else ''}"
    )


def _row(info: DocumentInfo, planned: PlannedDocument | None, ruling: Ruling, say: Texts) -> str:
    name = escape(info.path)
    label = name if info.status == "skipped" else f'<a href="#doc-{escape(info.id)}">{name}</a>'
    pages = say.number(info.pages) if info.pages else ""
    tokens = "" if planned is None else say.number(planned.tokens)
    state = "excluded" if info.path in ruling.excluded else "pinned" if info.path in ruling.pinned else ""
    return (
        f'<tr class="{info.status} {state}"><td class="name">{label}'
        f'<span class="note">{escape(_verdict(info, planned, ruling, say))}</span>{_acts(info, state, say)}</td>'
        f"<td>{pages}</td><td>{tokens}</td></tr>"
    )


def _verdict(info: DocumentInfo, planned: PlannedDocument | None, ruling: Ruling, say: Texts) -> str:
    """What became of the file and what of it is read, in words."""
    words = say(info.status) if info.status in ("loaded", "decoded", "skipped") else info.status
    if info.reason:
        words += f": {say.verdict(info.reason)}"
    if info.confidence is not None and info.confidence < 1:
        words += f", {say('sure', share=say.percent(info.confidence))}"
    for rules, key in ((ruling.excluded, "excluded"), (ruling.pinned, "pinned")):
        if (rule := rules.get(info.path)) is not None:
            return f"{words}; {say(key)}{'' if rule.pattern == pattern(info.path) else _by(rule.pattern, say)}"
    share = SHARES.get(planned.included) if planned else None
    return f"{words}; {say(share)}" if share else words


def _by(rule: str, say: Texts) -> str:
    return f" ({say('by_rule', pattern=rule)})"


def _acts(info: DocumentInfo, state: str, say: Texts) -> str:
    """Links that pin, leave out and remove; of a skipped file only the last."""
    choices = {"": ("pin", "exclude"), "pinned": ("unpin",), "excluded": ("include",)}[state]
    acts = [*(choices if info.status != "skipped" else ()), "remove"]
    links = " ".join(
        f'<a href="#rule-{act}-{escape(info.id)}" role="button" aria-label="{escape(f"{say(act)}: {info.path}")}"'
        f"{_sure(say) if act == 'remove' else ''}>{escape(say(act))}</a>"
        for act in acts
    )
    return f'<span class="acts">{links}</span>'


def _sure(say: Texts) -> str:
    return f' title="{escape(say("remove_sure"))}"'


def pattern(path: str) -> str:
    """The rule, as in .gitignore, that means this path alone."""
    return "/" + "".join(f"\\{c}" if c in "\\*?[]!# " else c for c in path)


def _tree(plan: Plan, say: Texts) -> str:
    """Folders with the tokens below them, heavy ones seen at a glance; nothing where there are no folders."""
    folders = branches(plan.documents)
    if len(folders) < 2:
        return ""
    most = max(folder.tokens for folder in folders) or 1
    rows = "".join(_folder(folder, most, say) for folder in folders)
    return f'<details class="tree"><summary>{escape(say("by_folder"))}</summary><ul>{rows}</ul></details>'


def _folder(folder: Branch, most: int, say: Texts) -> str:
    depth = folder.path.count("/") + 1 if folder.path else 0
    name = folder.path.rsplit("/", 1)[-1] + "/" if folder.path else say("all_documents")
    return (
        f'<li style="padding-left:{0.9 * depth:.1f}em"><span>{escape(name)}</span>'
        f'<span class="measure" aria-hidden="true"><span style="width:{100 * folder.tokens / most:.0f}%"></span></span>'
        f"<span>{say.number(folder.tokens)}</span></li>"
    )


def watches(states: Sequence[Mapping[str, Any]], collection: str, say: Texts) -> str:
    """The collection's watched folders and how their watch is; nothing where none is watched."""
    mine = [state for state in states if state["collection"] == collection]
    if not mine:
        return ""
    rows = "".join(_watch(state, say) for state in mine)
    return f'<section class="watches"><h3>{escape(say("watched"))}</h3>{rows}</section>'


def _watch(state: Mapping[str, Any], say: Texts) -> str:
    roots = "".join(f"<code>{escape(str(root))}</code>" for root in state["roots"])
    counts = say(
        "watch_counts",
        read=int(state["read"]),
        gone=int(state["gone"]),
        queued=int(state["queued"]),
        changed=_since(state["last_change"], say),
    )
    words = say(state["state"]) if state["state"] in ("watching", "stopped", "died") else str(state["state"])
    error = ""
    if state.get("error"):
        said = say.kept_error(state["error"], state.get("error_code"), state.get("error_facts", {}))
        error = f'<p class="error">{escape(said)}</p>'
    return f'<p><span class="dot {escape(state["state"])}"></span>{escape(words)}: {roots}</p><p>{counts}</p>{error}'


def _since(moment: str | None, say: Texts) -> str:
    if moment is None:
        return say("never")
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()))
    if seconds < 120:
        return say("ago", seconds=seconds)
    return say("minutes_ago", minutes=seconds // 60) if seconds < 7200 else say("hours_ago", hours=seconds // 3600)
