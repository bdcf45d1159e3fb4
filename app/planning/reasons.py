"""Reasons for what an answer was made from, as sentences by code; a notice is one of them."""

from __future__ import annotations

from typing import Any

from engine.reason import Reason as Reason

REASONS = {
    "whole_as_asked": "whole as asked: all {corpus:,} tokens of the documents are read.",
    "whole_beyond": "whole as asked: all {corpus:,} tokens of the documents are read, more than the {effective:,} "
    "tokens that the model answers well from.",
    "whole_core": "whole as asked: of {corpus:,} tokens of the documents the window takes {taken:,} ({levels}).",
    "whole_no_room": "whole as asked, but no document fits the window.",
    "whole_fits": "all {corpus:,} tokens of the documents fit and are read whole.",
    "packed_as_asked": "packed as asked: only passages that share words with the question are read.",
    "packed_too_long": "the documents hold {corpus:,} tokens, more than the {effective:,} tokens that the model "
    "answers well from; only passages that share words with the question are read.",
    "sent_whole": "{model} at {server} answered; it was sent the whole collection.",
    "sent_packed": "{model} at {server} answered; it was sent passages that share words with the question.",
    "no_documents": "The model answered without documents.",
    "no_documents_plain": "{model} answered, for there were no documents.",
}


def reason(code: str, **facts: Any) -> Reason:
    """A reason; `corpus`, `effective` and `taken` count tokens, `levels` says how many documents have which share."""
    return Reason.of(REASONS, code, **facts)
