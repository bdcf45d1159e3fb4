"""Log probabilities in the two shapes of OpenAI's protocol; a stream carries all of them in its last chunk."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from engine.decode.logprobs import Likely, TokenLogprob


def of_chat(tokens: Sequence[TokenLogprob]) -> dict[str, Any] | None:
    """What a choice of /v1/chat/completions has under `logprobs`; null where none were asked for."""
    if not tokens:
        return None
    content = [{**_entry(t), "top_logprobs": [_entry(likely) for likely in t.top]} for t in tokens]
    return {"content": content, "refusal": None}


def of_text(tokens: Sequence[TokenLogprob]) -> dict[str, Any] | None:
    """What a choice of /v1/completions has under `logprobs`; offsets count characters of the tokens' texts."""
    if not tokens:
        return None
    ends = list(accumulate(len(t.token) for t in tokens))
    return {
        "tokens": [t.token for t in tokens],
        "token_logprobs": [t.logprob for t in tokens],
        "top_logprobs": [{likely.token: likely.logprob for likely in t.top} for t in tokens],
        "text_offset": [0, *ends[:-1]],
    }


def _entry(token: TokenLogprob | Likely) -> dict[str, Any]:
    """`bytes` is null for a token that is part of a character: its text alone does not tell them."""
    known = "\ufffd" not in token.token
    return {"token": token.token, "logprob": token.logprob, "bytes": list(token.token.encode()) if known else None}
