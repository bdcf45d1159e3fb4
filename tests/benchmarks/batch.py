"""A batch that is killed twice, and what asking together saves: `python -m tests.benchmarks.batch --out FILE`.

So many questions over the sample documents on the default model. One run of `omnibus batch` is killed (SIGKILL) after a
third and after two thirds of its rows and started again; another is left alone. What asking together saves is measured
in turns: some questions together, then some of them one by one behind the warm prefix, `--rounds` times, by the clock
and by the processor's time, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from app.batch.batch_file import run_batch
from app.collection import Collection
from app.library import Library
from app.settings import Settings
from engine.decode.sampling import Sampling
from engine.models import default_model
from tests.benchmarks.cpu_engine import machine, words
from tests.conftest import KEPT, ROOT, SAMPLES

THINGS = (
    "warden", "spring", "boiling water", "solar panels", "battery", "generator", "breakfast", "supper", "bread", "cook",
    "rescue post", "stretcher", "thunderstorm", "siren", "price of a bed", "way of paying", "key in winter", "opening",
    "closing", "booking code",
)  # fmt: skip
FORMS = (
    "What does the handbook say of the {}?", "Is anything said about the {}, and where?", "Tell me one fact: {}.",
    "Which number goes with the {}?", "Who or what has to do with the {}?",
)  # fmt: skip
GUESTS = ("a guest", "the cook", "a guide", "a child", "the warden")


def questions(count: int) -> list[str]:
    """So many different questions."""
    made = [f"{form.format(thing)} ({guest} asks)" for guest in GUESTS for form in FORMS for thing in THINGS]
    return made[:count]


def killed_run(home: Path, file: Path, out: Path, options: list[str], marks: list[int]) -> list[int]:
    """Run the command, kill it when so many rows are on disk, start it again; rows that each start found."""
    command = [sys.executable, "-m", "omnibus", "batch", str(file), "-o", str(out), "-c", "hut", *options]
    partial, found = out.with_name(f"{out.name}.partial"), []

    def rows() -> int:
        return max(0, partial.read_bytes().count(b"\n") - 1) if partial.exists() else 0

    for mark in [*marks, None]:
        found.append(rows())
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMNIBUS_HOME": str(home)})
        while process.poll() is None:
            if mark is not None and rows() >= mark:
                process.send_signal(signal.SIGKILL)
            time.sleep(0.05)
        process.wait()
        assert process.returncode == (0 if mark is None else -signal.SIGKILL), process.returncode
    return found


def paired(hut: Collection, asked: list[str], sampling: Sampling, rounds: int, alone: int) -> dict[str, Any]:
    """Seconds a question, together and one by one, in turns; medians, and the median of the rounds' ratios."""
    seen: dict[str, list[tuple[float, float]]] = {"together": [], "one by one": []}
    for turn in range(rounds):
        some = asked[turn::rounds]
        began = time.perf_counter(), time.process_time()
        for _ in hut.ask_batch(some, sampling=sampling):
            pass
        seen["together"].append(_since(began, len(some)))
        few = some[:: max(1, len(some) // alone)][:alone]
        began = time.perf_counter(), time.process_time()
        for question in few:
            hut.ask(question, sampling=sampling)
        seen["one by one"].append(_since(began, len(few)))
    made: dict[str, Any] = {"rounds": rounds, "questions a round, together": len(asked) // rounds, "alone": alone}
    for place, clock in enumerate(("wall", "processor")):
        together, one_by_one = ([times[place] for times in seen[how]] for how in seen)
        ratios = [b / a for a, b in zip(together, one_by_one, strict=True)]
        made[f"{clock} s a question, together"] = round(statistics.median(together), 3)
        made[f"{clock} s a question, one by one"] = round(statistics.median(one_by_one), 3)
        made[f"{clock} ratio"] = round(statistics.median(ratios), 2)
        made[f"{clock} ratios"] = [round(ratio, 2) for ratio in ratios]
    return made


def _since(began: tuple[float, float], questions: int) -> tuple[float, float]:
    return (time.perf_counter() - began[0]) / questions, (time.process_time() - began[1]) / questions


def measure(folder: Path, count: int, alone: int, rounds: int, limit: int, *, kills: bool) -> dict[str, Any]:
    """Everything once; the figures."""
    home, file = folder / "home", folder / "questions.jsonl"
    home.mkdir()
    (home / "models").symlink_to(default_model.pull(KEPT).parent)
    asked = questions(count)
    file.write_text("".join(json.dumps({"question": q}) + "\n" for q in asked))
    sampling = Sampling(temperature=0.7, seed=7, max_new_tokens=limit)
    options = ["--temperature", "0.7", "--seed", "7", "--max-new-tokens", str(limit)]
    with Library(settings=Settings(home=home)) as library:
        hut = library.collection("hut")
        hut.add(SAMPLES / "handbook.md", SAMPLES / "booking.py")
        hut.warm()
        made = {
            **machine(library.engine.model),
            "command": " ".join(["python -m tests.benchmarks.batch", *words()]),
            "load": list(os.getloadavg()[:2]),
            "saving": paired(hut, asked, sampling, rounds, alone),
        }
        if not kills:
            return made
        started = time.perf_counter()
        run_batch(library, file, folder / "whole.jsonl", collection="hut", sampling=sampling)
        undisturbed = time.perf_counter() - started
    started = time.perf_counter()
    starts = killed_run(home, file, folder / "killed.jsonl", options, [count // 3, 2 * count // 3])
    rows = [json.loads(line) for line in (folder / "killed.jsonl").read_text().splitlines()]
    same = (folder / "killed.jsonl").read_bytes() == (folder / "whole.jsonl").read_bytes()
    return {
        **made,
        "questions": count,
        "rows": len(rows),
        "different indices": len({row["index"] for row in rows}),
        "rows found by each start": starts,
        "errors": sum(row["error"] is not None for row in rows),
        "identical to the run left alone": same,
        "answer tokens": sum(row["answer_tokens"] or 0 for row in rows),
        "seconds, left alone": round(undisturbed, 1),
        "seconds, killed twice, three starts": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    """Measure, print, write; exit code 1 where a row is lost, doubled or another one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--alone", type=int, default=8, help="questions asked one by one in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-kills", action="store_true", help="only what asking together saves")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = measure(
            Path(folder), arguments.questions, arguments.alone, arguments.rounds, arguments.tokens,
            kills=not arguments.no_kills,
        )  # fmt: skip
    print(json.dumps(made, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(made, indent=1) + "\n")
    if arguments.no_kills:
        return
    count = arguments.questions
    sound = made["identical to the run left alone"] and made["rows"] == made["different indices"] == count
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()
