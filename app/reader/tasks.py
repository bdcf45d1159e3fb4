"""Tasks: questions with short answers and the verbatim sentences that prove them, invented or found in real text."""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Iterator, Sequence
from random import Random

from app.reader import templates
from app.reader.ask import Ask
from app.reader.corpus import Corpus, Part
from engine.evaluation import templates as held

LONGEST = 110
"""Characters of a short answer."""
FIRST = 0.15
"""Share of the gaps that are the earliest of their sentence: with little before it, what follows must find it."""
PRONOUNS = frozenset(
    "This That It There These Those They He She We You Here What Which If When For In Note One".split()
)
DEFINITION = re.compile(
    r"(?:(?:The|An?) )?((?:[\w`'()-]+ ){0,3}[\w`'()-]+) (?:is|are) ((?:an?|the|used|one|called) .+)\."
)
VERBS = {
    third: third[:-2] if third.endswith(("sses", "shes")) else third[:-1]
    for third in (
        "returns contains provides describes controls creates removes sets allows causes indicates defines determines "
        "represents prints shows means takes uses writes reads generates supports requires enables stores displays"
    ).split()
} | {"specifies": "specify", "modifies": "modify", "identifies": "identify", "processes": "process"}  # fmt: skip
DOING = re.compile(rf"(?:(?:The|An?) )?((?:[\w`'()-]+ ){{0,3}}[\w`'()-]+) ({'|'.join(VERBS)}) (.+)\.")


def invented(corpus: Corpus, count: int) -> Iterator[Ask]:
    """Invented facts of a few families hidden in the documents, asked one by one; and some that are not there."""
    random = corpus.random
    families = random.sample([*templates.EVENTS, *templates.PROFILES], k=min(random.choice((1, 2, 4, 8)), count + 1))
    seen: set[str] = set()
    for number in range(count * 2):
        statement, *questions = random.choice(families).split("|")
        said = slots(random)
        asked, _, slot = random.choice(questions).rpartition("=")
        fact = statement.format(**said)
        question = asked.format(**said)
        keys = {said[name] for name in re.findall(r"{(\w+)}", asked)}
        if seen & keys:
            continue
        seen |= keys
        absent = random.random() < 0.16
        if not absent:
            corpus.hide(fact)
        if number < count:
            yield (
                Ask(question, templates.REFUSAL, (), "absent") if absent else Ask(question, said[slot], (fact,), "fact")
            )


def slots(random: Random) -> dict[str, str]:
    """Something for each place of a template."""
    pick, t = random.choice, templates
    return {
        "person": person(random),
        "place": pick(t.PLACE_A) + pick(t.PLACE_B),
        "place2": pick(t.PLACE_A) + pick(t.PLACE_B),
        "year": str(random.randrange(1500, 2030)),
        "count": str(random.randrange(2, 10 ** random.choice((2, 3, 4)))),
        "number": str(random.randrange(10 ** (n := random.randrange(3, 9)), 10 ** (n + 1))),
        "room": f"{pick('ABCDEFG')}{random.randrange(100, 999)}"
        if random.random() < 0.5
        else str(random.randrange(10, 999)),
        "version": f"{random.randrange(9)}.{random.randrange(20)}.{random.randrange(30)}",
        "job": pick(t.JOBS),
        "company": f"{pick(t.LAST)} {pick(t.COMPANIES)}",
        "animal": pick(t.ANIMALS),
        "thing": f"{pick(t.INKS)} {pick(t.THINGS)}",
        "colour": pick(t.INKS),
        "instrument": pick(t.INSTRUMENTS),
        "language": pick(t.LANGUAGES),
        "day": pick(t.WEEK),
        "project": name(random).capitalize(),
        "option": f"{name(random)}_{name(random)}",
        "word": name(random),
    }


def person(random: Random) -> str:
    """Somebody's name, half of the time a made-up one; nobody of the evaluation's."""
    t = templates
    while True:
        first = random.choice(t.FIRST_A) + random.choice(t.FIRST_B) if random.random() < 0.6 else random.choice(t.FIRST)
        last = random.choice(t.LAST_A) + random.choice(t.LAST_B) if random.random() < 0.6 else random.choice(t.LAST)
        if first not in held.FIRST_NAMES and last not in held.LAST_NAMES:
            return f"{first} {last}"


def name(random: Random) -> str:
    """A made-up word."""
    return "".join(
        random.choice(templates.CONSONANTS) + random.choice(templates.VOWELS) for _ in range(random.randrange(2, 5))
    )


def composed(corpus: Corpus, count: int) -> Iterator[Ask]:
    """Facts put together from many verbs, things, people and places, some of them alike; and some not there."""
    random, t = corpus.random, templates
    few = random.sample(t.OBJECTS, 2) if random.random() < 0.5 else t.OBJECTS
    seen: set[tuple[str, str]] = set()
    for number in range(count * 2):
        said = slots(random) | {"verb": random.choice(t.VERBS), "object": random.choice(few)}
        said |= {"measure": random.choice(t.MEASURES), "owner": random.choice(t.OWNERS)}
        if random.random() < 0.6:
            fact, key = random.choice(t.TOLD), (said["place"], said["object"])
            asked, slot = random.choice(t.TOLD_ASKED)
        else:
            fact, key = random.choice(t.MEASURED), (said["measure"], said["owner"])
            asked, slot = random.choice(t.MEASURED_ASKED), "number"
        if key in seen:
            continue
        seen.add(key)
        fact, question = fact.format(**said), asked.format(**said)
        fact = fact[0].upper() + fact[1:]
        absent = random.random() < 0.12
        if not absent:
            corpus.hide(fact)
        if number < count:
            yield Ask(question, t.REFUSAL, (), "absent") if absent else Ask(question, said[slot], (fact,), "fact")


def mentions(corpus: Corpus, count: int) -> Iterator[Ask]:
    """The one sentence that speaks of a term."""
    for _, sentence in _some(corpus, count * 2):
        rare = [m.group() for m in re.finditer(r"\w{5,}(?: \w{4,})?", sentence[1:]) if _once(corpus, m.group())]
        if rare and len(sentence) <= LONGEST:
            asked = corpus.random.choice(templates.MENTION).format(term=corpus.random.choice(rare))
            yield Ask(asked, sentence, (sentence,), "mention")


def _once(corpus: Corpus, term: str) -> bool:
    return any(corpus.times(word) == 1 for word in term.split())


def cloze(corpus: Corpus, count: int) -> Iterator[Ask]:
    """Real sentences with a word left out that stands nowhere else in the documents."""
    for _, sentence in _some(corpus, count):
        rare = [m for m in re.finditer(r"\b(?:\d[\d.,]*\d|\w{4,})\b", sentence) if corpus.times(m.group()) == 1]
        if rare:
            gap = rare[0] if corpus.random.random() < FIRST else corpus.random.choice(rare)
            text = f"{sentence[: gap.start()]}____{sentence[gap.end() :]}"
            asked = corpus.random.choice(templates.CLOZE).format(gap=text)
            yield Ask(asked, gap.group(), (sentence,), "cloze")


def defined(corpus: Corpus, count: int) -> Iterator[Ask]:
    """What something is, or does, in a real sentence."""
    random = corpus.random
    for _, sentence in _some(corpus, count * 12):
        if found := DEFINITION.fullmatch(sentence):
            subject, answer = found.groups()
            asked = random.choice(templates.DEFINES).format(subject=_lower(subject))
        elif found := DOING.fullmatch(sentence):
            subject, third, answer = found.groups()
            asked = random.choice(templates.DOES).format(subject=_lower(subject), third=third, verb=VERBS[third])
        else:
            continue
        if subject.split()[0] in PRONOUNS or len(answer) > LONGEST or corpus.text.count(f"{subject} ") > 3:
            continue
        absent = random.random() < 0.06
        if absent:
            invented = name(random)
            yield Ask(asked.replace(_lower(subject), f"the {invented}"), templates.REFUSAL, (), "absent")
        else:
            yield Ask(asked, answer, (sentence,), "defined")
        count -= 1
        if not count:
            return


def _lower(subject: str) -> str:
    first, *rest = subject.split(" ")
    return " ".join([first.lower() if first.istitle() and not rest else first, *rest])


def which(corpus: Corpus, count: int) -> Iterator[Ask]:
    """Which document says a sentence."""
    if len(corpus.parts) > 1:
        for part, sentence in _some(corpus, count):
            asked = corpus.random.choice(templates.WHICH).format(sentence=sentence)
            yield Ask(asked, part.path, (sentence,), "which")


def pairs(corpus: Corpus, count: int) -> Iterator[Ask]:
    """A file of keys and values among the documents."""
    random = corpus.random
    size = max(count, sum(len(part.text) for part in corpus.parts) // random.choice((400, 1500, 6000)))
    long = random.random() < 0.6
    made = {_key(random, long): _key(random, long) for _ in range(min(size, 300))}
    between = random.choice((",\n", ", ", ",\n  "))
    lines = between.join(f'"{key}": "{value}"' for key, value in made.items())
    corpus.parts.append(Part("data/values.json", False, [f"{{{lines}}}"]))
    for key in random.sample(sorted(made), min(count, len(made))):
        asked = random.choice(templates.PAIR)
        if random.random() < 0.15:
            yield Ask(asked.format(key=_key(random, long)), templates.REFUSAL, (), "absent")
        else:
            yield Ask(asked.format(key=key), made[key], (f'"{key}": "{made[key]}"',), "pair")


def _key(random: Random, long: bool) -> str:
    if long and random.random() < 0.7:
        return str(uuid.UUID(int=random.getrandbits(128), version=4))
    return f"{random.getrandbits(64):016x}" if long else f"{name(random)}-{random.randrange(1000, 99999)}"


def passes(corpus: Corpus, count: int) -> Iterator[Ask]:
    """One number to remember."""
    random = corpus.random
    for statement, asked in random.sample(templates.PASS, min(count, 2)):
        value = str(random.randrange(10 ** (n := random.randrange(3, 9)), 10 ** (n + 1)))
        fact = statement.format(value=value)
        if random.random() < 0.85:
            corpus.hide(fact)
            yield Ask(asked, value, (fact,), "pass")
        else:
            yield Ask(asked, templates.REFUSAL, (), "absent")


def several(corpus: Corpus, count: int) -> Iterator[Ask]:
    """Two to four values of one key, scattered."""
    random = corpus.random
    for _ in range(min(count, 3)):
        statement, asked = random.choice(templates.SEVERAL)
        said = slots(random)
        values = [str(random.randrange(10**4, 10**7)) for _ in range(random.randrange(2, 5))]
        facts = [statement.format(**said, value=value) for value in values]
        for fact in facts:
            corpus.hide(fact)
        order = sorted(range(len(values)), key=lambda i: corpus.text.find(facts[i]))
        answer = ", ".join(values[i] for i in order)
        yield Ask(asked.format(**said), answer, tuple(facts[i] for i in order), "several")


def tracking(corpus: Corpus, count: int) -> Iterator[Ask]:
    """Names that hold a value, some through others."""
    random = corpus.random
    for _ in range(min(count, 2)):
        first, copy = random.choice(templates.ASSIGN)
        value = str(random.randrange(10**4, 10**6))
        names = [name(random).upper() for _ in range(random.randrange(2, 5))]
        lines = [first.format(name=names[0], value=value)]
        lines += [copy.format(name=b, other=a) for a, b in itertools.pairwise(names)]
        slices = sorted(random.sample(range(1000), len(lines)))
        for line, share in zip(lines, slices, strict=True):
            part = corpus.parts[share * len(corpus.parts) // 1000]
            part.paragraphs.insert(share * len(part.paragraphs) // 1000, line)
        yield Ask(random.choice(templates.TRACE).format(value=value), ", ".join(names), tuple(lines), "tracking")


def _some(corpus: Corpus, count: int) -> Sequence[tuple[Part, str]]:
    found = corpus.sentences()
    return corpus.random.sample(found, min(count, len(found)))
