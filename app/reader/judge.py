"""Judge a reader on held-out documents: `python -m app.reader.judge --model FOLDER --held-out FILE`.

Each prompt packs manuals that training never read and hides the evaluation's own facts in them; it is asked for four
invented events, two numbers, two words left out of real sentences, and two events that are not there. An answer is
right where its words before the first quotation hold what was expected.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from app.answering import prompt
from app.answering.citations import quotes, resolve
from app.reader.corpus import Corpus, cut
from app.reader.samples import document
from app.reader.sources import Source, load
from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.evaluation import templates as theirs
from engine.evaluation.evaluate import versions
from engine.evaluation.rope import scaled
from engine.evaluation.scorers import says
from engine.evaluation.statistics import wilson
from engine.evaluation.suites.facts import people, places
from engine.models.frame import Message
from engine.models.model import LanguageModel
from engine.policies.by_name import policy_by_name
from ingest.pack import PackedPrompt, pack, whole
from ingest.tree import tree_lines

CLOZE = (
    "One word is blotted out here, written as ____ : {gap} Which word was it?",
    'Which word belongs at ____ in "{gap}"?',
)
REFUSED = ("do not say", "not in the documents", "not mentioned", "no information", "does not say", "not provided")
ROOM = 72
MARGIN = 900
"""Tokens kept free for questions, answers, hidden facts and marks."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question; what the answer must hold, or nothing where the documents do not say."""

    text: str
    expected: str
    kind: str


def exam(
    sources: Sequence[Source], random: Random, tokens: int, count: Callable[[str], int]
) -> tuple[Corpus, list[Asked]]:
    """Documents of about so many tokens, and ten questions over them."""
    share = 1.0
    while True:
        corpus = cut(sources, random, int((tokens - MARGIN * min(1.0, tokens / 4096)) * 1.1 * share), code=0.0)
        asked = _hidden(corpus, random)
        if count(corpus.text) <= tokens - 180 - tokens // 40:
            return corpus, [*asked, *_cloze(corpus, 2)]
        share *= 0.93


def _hidden(corpus: Corpus, random: Random) -> list[Asked]:
    out: list[Asked] = []
    towns, names = places(random, 6), people(random, 6)
    for number, (statement, asked) in enumerate(random.sample(theirs.FACTS, 6)):
        said = {"person": names[number], "place": towns[number], "year": str(random.randrange(1610, 1960))}
        question, slot = random.choice(asked)
        if number < 4:
            corpus.hide(statement.format(**said))
            out.append(Asked(question.format(**said), said[slot], "fact"))
        else:
            out.append(Asked(question.format(**said), "", "absent"))
    for statement, question, digits in random.sample(theirs.NEEDLES, 2):
        value = str(random.randrange(10 ** (digits - 1), 10**digits))
        corpus.hide(statement.format(value=value))
        out.append(Asked(question, value, "number"))
    return out


def _cloze(corpus: Corpus, count: int) -> list[Asked]:
    out: list[Asked] = []
    pool = corpus.sentences()
    corpus.random.shuffle(pool)
    for _, sentence in pool:
        rare = [m for m in re.finditer(r"\b\w{5,}\b", sentence) if corpus.times(m.group()) == 1]
        if rare and len(out) < count:
            gap = corpus.random.choice(rare)
            text = f"{sentence[: gap.start()]}____{sentence[gap.end() :]}"
            kind = f"cloze, {('bare', 'quoted')[len(out) % len(CLOZE)]}"
            out.append(Asked(CLOZE[len(out) % len(CLOZE)].format(gap=text), gap.group(), kind))
    return out


def ask(model: LanguageModel, policy: str, packed: PackedPrompt, asked: Sequence[Asked]) -> tuple[list[str], Any]:
    """Greedy answers to all questions behind one prefix, and what prefill says of itself."""
    engine = Engine(model, policy=policy_by_name(policy, model.config, model.device.type))
    framed = [model.frame([Message("user", prompt.BRIEF.format(question=q.text))], system=prompt.SYSTEM) for q in asked]
    context = engine.context([*framed[0][0], *packed.token_ids.tolist()])
    tails = [tail for _, tail in framed]
    replies = engine.batch(context, tails, sampling=Sampling(max_new_tokens=ROOM), slots=len(tails))
    return [r.text.strip() for r in sorted(replies, key=lambda r: r.index)], context.stats


def judge(model: LanguageModel, sources: Sequence[Source], length: int, policy: str, prompts: int) -> dict[str, Any]:
    """Scores of one length: shares with their 95 % intervals, and every answer."""
    right: dict[str, list[bool]] = defaultdict(list)
    quoted, refused, wrongly, density = [], [], [], []
    answers = []
    for number in range(prompts):
        random = Random(f"judge/{length}/{number}")
        corpus, asked = exam(sources, random, length, lambda text: len(model.encode(text)))
        documents = [document(p.path, p.text) for p in sorted(corpus.parts, key=lambda p: p.path.encode())]
        packed = pack(
            whole(documents), model.encode_with_offsets, fence=f"{random.getrandbits(32):08x}", tree=tree_lines
        )
        with scaled(model, length + ROOM):
            said, stats = ask(model, policy, packed, asked)
        density.append(stats.density)
        for question, answer in zip(asked, said, strict=True):
            none = any(words in answer.lower() for words in REFUSED)
            answers.append((question.kind, question.text, question.expected, answer))
            if not question.expected:
                refused.append(none)
                continue
            wrongly.append(none)
            good = says(answer.split('"')[0].split("“")[0] or answer, question.expected)
            right[question.kind].append(good)
            if good:
                found = [resolve(quote, packed.entries).state for quote in quotes(answer)]
                quoted.append(any(state != "unverified" for state in found))
    every = [good for kind in right.values() for good in kind]
    return {
        "length": length, "policy": policy, "questions": len(every), "right": _share(every),
        "by_kind": {kind: _share(v) for kind, v in right.items()}, "quoted": _share(quoted),
        "refused": _share(refused), "wrongly_refused": _share(wrongly),
        "density": sum(d or 1.0 for d in density) / len(density), "answers": answers,
    }  # fmt: skip


def _share(values: Sequence[bool]) -> list[float]:
    """Share, low and high end of its 95 % interval, in per cent; and how many."""
    mean = sum(values) / max(1, len(values))
    return [round(100 * x, 1) for x in (mean, *wilson(mean, len(values)))] + [len(values)]


def main() -> None:
    """Judge and print a table; `--out` keeps everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="folder of a model, or its name")
    parser.add_argument("--held-out", type=Path, required=True, help="held_out.jsonl.xz of app.reader.sources")
    parser.add_argument("--lengths", default="1024,4096,8192,16384,32768")
    parser.add_argument("--policies", default="dense")
    parser.add_argument("--prompts", type=int, default=25, help="for each length, ten questions each")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    model = LanguageModel.load(given.model, device=given.device)
    sources = load(given.held_out)
    kept: dict[str, Any] = {"model": Path(given.model).name, "environment": versions(), "rows": []}
    for length in map(int, given.lengths.split(",")):
        for policy in given.policies.split(","):
            row = judge(model, sources, length, policy, given.prompts)
            kept["rows"].append(row)
            shown = {k: v for k, v in row.items() if k != "answers"}
            print(json.dumps(shown), flush=True)
            if given.out:
                given.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
