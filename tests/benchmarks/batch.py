"""A batch that is killed twice, and what asking together saves: `python -m tests.benchmarks.batch --out FILE`.

So many questions over the sample documents on the default model. One run of `omnibus batch` is killed (SIGKILL) after a
third and after two thirds of its rows and started again; another is left alone. Then as many of the questions as
`--alone` says are asked one by one behind the warm prefix, in the same process as the run that was left alone.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from app.batch_file import run_batch
from app.library import Library
from app.settings import Settings
from engine import default_model
from engine.sampling import Sampling
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


def measure(folder: Path, count: int, alone: int, limit: int) -> dict[str, Any]:
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
        started = time.perf_counter()
        run_batch(library, file, folder / "whole.jsonl", collection="hut", sampling=sampling)
        together = count / (time.perf_counter() - started)
        started = time.perf_counter()
        for question in asked[:: max(1, count // alone)][:alone]:
            hut.ask(question, sampling=sampling)
        one_by_one = alone / (time.perf_counter() - started)
        about = machine(library.engine.model)
    starts = killed_run(home, file, folder / "killed.jsonl", options, [count // 3, 2 * count // 3])
    rows = [json.loads(line) for line in (folder / "killed.jsonl").read_text().splitlines()]
    return {
        **about,
        "command": " ".join(["python -m tests.benchmarks.batch", *words()]),
        "load": list(os.getloadavg()[:2]),
        "questions": count,
        "rows": len(rows),
        "different indices": len({row["index"] for row in rows}),
        "rows found by each start": starts,
        "errors": sum(row["error"] is not None for row in rows),
        "identical to the run left alone": (folder / "killed.jsonl").read_bytes()
        == (folder / "whole.jsonl").read_bytes(),
        "answer tokens": sum(row["answer_tokens"] or 0 for row in rows),
        "questions a second, together": round(together, 3),
        "questions a second, one by one": round(one_by_one, 3),
        "ratio": round(together / one_by_one, 2),
    }


def main() -> None:
    """Measure, print, write; exit code 1 where a row is lost, doubled or another one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--alone", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = measure(Path(folder), arguments.questions, arguments.alone, arguments.tokens)
    print(json.dumps(made, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(made, indent=1) + "\n")
    count = arguments.questions
    sound = made["identical to the run left alone"] and made["rows"] == made["different indices"] == count
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()
