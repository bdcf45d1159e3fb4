"""Code tasks: questions whose answers stand in real source: what does it, what it does, where it is, its defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from app.reader import templates
from app.reader.ask import Ask
from app.reader.corpus import Corpus

ABSENT = 0.1
"""Share of the names asked for that are not there."""
DOCSTRING = re.compile(
    r'(?P<line>(?P<kind>def|class) (?P<name>\w{4,})(?:\([^)"]*\))?[^:"\n]*:)\n\s+'
    r'"""(?P<said>[A-Z][^"]{30,150}?[.])(?:\s|""")'
)
PARAMETER = re.compile(r"(\w{3,})(?:: [\w.|\[\] ]+)?\s?=\s?(-?[\w.]+|'[^']*')(?=[,)])")
OPTION = re.compile(r"""add_argument\(\s*['"](--[\w-]{3,})['"][^)]{0,160}?help=\(?['"]([^'"\n]{12,110})['"]""")
CONSTANT = re.compile(r"^([A-Z][A-Z0-9_]{3,}) = (-?[\w.]{1,40}|'[^'\n]{1,60}'|\"[^\"\n]{1,60}\")$", re.MULTILINE)
RAISES = re.compile(r"""raise (\w{5,})\((?:f|rf)?['"]([^'"\n]{15,90})['"]""")
SUBCLASS = re.compile(r"^class (\w{4,})\(([\w.]{3,})\):", re.MULTILINE)


def functions(corpus: Corpus, count: int) -> Iterator[Ask]:
    """The function or class that a docstring's first sentence describes."""
    random, text = corpus.random, corpus.text
    found = [m for m in DOCSTRING.finditer(text) if _defined_once(text, f"{m['kind']} {m['name']}")]
    for match in random.sample(found, min(count, len(found))):
        said = " ".join(match["said"].split())
        line = " ".join(match["line"].split())
        if match["name"] not in said:
            yield Ask(_described(random, match["kind"], said), match["name"], (line,), "function")


def _defined_once(text: str, line: str) -> bool:
    return text.count(f"{line}(") + text.count(f"{line}:") == 1


def _described(random: Random, kind: str, said: str) -> str:
    """A question for what a docstring says, in its own words or as what the function does."""
    verb, _, rest = said.rstrip(".").partition(" ")
    base = verb.removesuffix("s")
    if kind == "def" and base in templates.IMPERATIVES and random.random() < 0.6:
        does = f"{base.lower()}{'es' if base.endswith(('sh', 'ss', 'ch')) else 's'} {rest}"
        return random.choice(templates.FUNCTION_THAT).format(what=random.choice(("function", "method")), does=does)
    if kind == "class":
        does = f"{said[0].lower()}{said[1:].rstrip('.')}"
        is_thing = not verb.endswith("s") or verb == "This"
        return random.choice(templates.FUNCTION_THAT).format(what="class", does=f"is {does}" if is_thing else does)
    return random.choice(templates.FUNCTION).format(description=said)


def purposes(corpus: Corpus, count: int) -> Iterator[Ask]:
    """What a function or class is for, by the first sentence of its docstring."""
    for match in _picked(corpus, DOCSTRING, count):
        if _defined_once(corpus.text, f"{match['kind']} {match['name']}"):
            asked, said = corpus.random.choice(templates.PURPOSE), " ".join(match["said"].split())
            if corpus.random.random() < ABSENT:
                invented = "_".join(corpus.random.sample(templates.THINGS, 2))
                yield Ask(asked.format(name=invented), templates.REFUSAL, (), "absent")
            else:
                yield Ask(asked.format(name=match["name"]), said, (said,), "purpose")


def defaults(corpus: Corpus, count: int) -> Iterator[Ask]:
    """The default of a function's parameter."""
    random = corpus.random
    for match in _picked(corpus, DOCSTRING, count):
        found = PARAMETER.findall(match["line"])
        if found and _defined_once(corpus.text, f"{match['kind']} {match['name']}"):
            parameter, value = random.choice(found)
            asked = random.choice(templates.DEFAULT).format(name=match["name"], parameter=parameter)
            yield Ask(asked, value, (" ".join(match["line"].split()),), "default")


def options(corpus: Corpus, count: int) -> Iterator[Ask]:
    """What an option of a command is for."""
    for match in _picked(corpus, OPTION, count):
        option, said = match[1], match[2].strip()
        yield Ask(corpus.random.choice(templates.OPTION).format(option=option), said, (said,), "option")


def constants(corpus: Corpus, count: int) -> Iterator[Ask]:
    """The value of a constant."""
    for match in _picked(corpus, CONSTANT, count):
        name, value = match.groups()
        if corpus.text.count(f"\n{name} = ") == 1:
            yield Ask(corpus.random.choice(templates.CONSTANT).format(name=name), value, (match.group(),), "constant")


def raised(corpus: Corpus, count: int) -> Iterator[Ask]:
    """Which exception comes with a message."""
    for match in _picked(corpus, RAISES, count):
        error, said = match.groups()
        yield Ask(corpus.random.choice(templates.RAISED).format(message=said), error, (match.group(),), "exception")


def subclasses(corpus: Corpus, count: int) -> Iterator[Ask]:
    """What a class is derived from."""
    for match in _picked(corpus, SUBCLASS, count):
        name, base = match.groups()
        if _defined_once(corpus.text, f"class {name}"):
            yield Ask(corpus.random.choice(templates.SUBCLASS).format(name=name), base, (match.group(),), "base class")


def definitions(corpus: Corpus, count: int) -> Iterator[Ask]:
    """The file in which something is defined."""
    parts = [part for part in corpus.parts if part.code]
    for part in corpus.random.sample(parts, min(count, len(parts))):
        for match in _among(corpus.random, [*DOCSTRING.finditer(part.text)], 1):
            if _defined_once(corpus.text, f"{match['kind']} {match['name']}"):
                asked = corpus.random.choice(templates.DEFINED_IN).format(name=match["name"])
                yield Ask(asked, part.path, (" ".join(match["line"].split()),), "definition")


def _picked(corpus: Corpus, pattern: re.Pattern[str], count: int) -> list[re.Match[str]]:
    return _among(corpus.random, [*pattern.finditer(corpus.text)], count)


def _among(random: Random, found: list[re.Match[str]], count: int) -> list[re.Match[str]]:
    return random.sample(found, min(count, len(found)))
