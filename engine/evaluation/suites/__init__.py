"""The suites by name; a group's name (`ruler`, `perplexity`, `needle`) stands for all of its members.

Parts of one suite end in # and a number: each is a prompt of its own, and the results count them together.
"""

from __future__ import annotations

from engine.evaluation.suites import (
    code,
    facts,
    key_value,
    multi_turn,
    needle,
    passkey,
    perplexity,
    ruler_lists,
    ruler_needles,
    ruler_questions,
    ruler_tracking,
)
from engine.evaluation.task import Suite

SUITES: dict[str, Suite] = {
    **needle.SUITES,
    "facts": facts.facts,
    "perplexity/prose": perplexity.prose,
    "perplexity/code": perplexity.code,
    "passkey": passkey.passkey,
    "key_value": key_value.key_value,
    "code": code.code,
    "multi_turn": multi_turn.multi_turn,
    **ruler_needles.SUITES,
    "ruler/vt": ruler_tracking.tracking,
    "ruler/cwe": ruler_lists.common_words,
    "ruler/fwe": ruler_lists.frequent_words,
    "ruler/qa_1": ruler_questions.one_article,
    "ruler/qa_2": ruler_questions.two_articles,
}
