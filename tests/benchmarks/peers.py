"""Packing whole trees beside repomix and gitingest: `python -m tests.benchmarks.peers --trees FOLDER… --out FILE`.

Each program packs each tree in a process of its own, by turns, start included, `--rounds` times; medians of the clock
and of the processor's time (which other work on the machine disturbs less). Omnibus reads, decodes, masks secrets,
gives verdicts and packs, the tree of names included, with the default model's tokens and the map back to characters;
repomix counts o200k tokens and looks for secrets; gitingest puts texts one behind the other, and estimates tokens where
it can download their table. Tokens a second are for all programs those that Omnibus finds in the tree. `--mixed FOLDER`
makes a folder of mixed encodings and hostile files there first. A program gets `--limit` seconds for a tree.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.host import host
from tests.benchmarks.ingest import as_git_lists
from tests.conftest import ROOT, SAMPLES
from tests.ingest.hostile import JAPANESE, RUSSIAN, hostile

OURS = """
import json, sys
from pathlib import Path
from transformers import AutoTokenizer
from ingest import pack, read_all, tree_lines, walk, whole
root, model, out = map(Path, sys.argv[1:])
tokenizer = AutoTokenizer.from_pretrained(model)
def encode(text):
    how = dict(add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True, verbose=False)
    made = tokenizer(text, **how)
    return made.input_ids, made.offset_mapping
missed = []
found = list(walk([root], on_skip=lambda path, why: missed.append(path)))
documents = [d for f in found for d in read_all(f.path, f.relative)]
loaded = [d for d in documents if d.text]
assert all(d.verdict.reason for d in documents if not d.text)
packed = pack(whole(loaded), encode, fence="7f3a", tree=tree_lines)
packed.token_ids.tofile(out)
print(json.dumps({"files": len(found), "documents": len(documents), "with text": len(loaded),
    "skipped": len(documents) - len(loaded), "left out": len(missed), "tokens": len(packed.token_ids)}))
"""
UNITS = {"": 1, "k": 1_000, "M": 1_000_000}
ENCODINGS = {"utf-16": RUSSIAN, "utf-8-sig": RUSSIAN, "koi8-r": RUSSIAN, "cp1251": RUSSIAN, "utf-32": JAPANESE,
             "shift_jis": JAPANESE, "euc_jp": JAPANESE, "cp1252": "Größe, café, naïve, £5. " * 40}  # fmt: skip


def mixed(folder: Path) -> None:
    """The hostile set, the samples, and texts in many encodings."""
    for name, (data, _) in hostile().items():
        if len(data) < 20_000_000:
            (folder / "hostile" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "hostile" / name).write_bytes(data)
    for path in (p for p in SAMPLES.rglob("*") if p.is_file()):
        (folder / "samples" / path.relative_to(SAMPLES)).parent.mkdir(parents=True, exist_ok=True)
        (folder / "samples" / path.relative_to(SAMPLES)).write_bytes(path.read_bytes())
    for encoding, text in ENCODINGS.items():
        (folder / f"text.{encoding}.txt").write_bytes(text.encode(encoding))


def run(command: list[str], folder: Path, limit: float = 60) -> tuple[str, float, float]:
    """What it prints, seconds by the clock and of the processor."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=limit)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    if made.returncode:
        raise RuntimeError(f"{command[0]}: {(made.stdout + made.stderr)[-500:]}")
    return made.stdout + made.stderr, ended - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def said(text: str, program: str) -> dict[str, Any]:
    """Files and tokens as a program tells them."""
    if program == "omnibus":
        found: dict[str, Any] = json.loads(text.splitlines()[-1])
        return found
    files = re.search(r"(?:Total Files|Files analyzed):\s*([\d,]+)", text)
    tokens = re.search(r"(?:Total Tokens|Estimated tokens):\s*([\d.,]+)\s*([kM]?)", text)
    return {
        "with text": int(files[1].replace(",", "")) if files else None,
        "tokens": round(float(tokens[1].replace(",", "")) * UNITS[tokens[2]]) if tokens else None,
    }


def measure(root: Path, programs: dict[str, list[str]], rounds: int, limit: float) -> list[dict[str, Any]]:
    """A row for each program; one that gives up has an error in its row's place."""
    rows = []
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    told: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, command in programs.items():
                out = f"{folder}/{name}.out"
                words = [part.replace("{root}", str(root)).replace("{out}", out) for part in command]
                try:
                    text, wall, processor = run(words, ROOT if name == "omnibus" else root, limit)
                except subprocess.TimeoutExpired:
                    told[name] = {"error": f"not done after {limit:.0f} s"}
                    continue
                except RuntimeError as error:
                    told[name] = {"error": str(error)[-200:].replace(str(root), "FOLDER")}
                    continue
                told[name] = said(text, name)
                seen[name].append((wall, processor))
    for name in programs:
        row = {"tree": root.name, "program": name, **told[name]}
        if name == "omnibus":
            row["walk is git ls-files"] = as_git_lists(root)
            row["all accounted for"] = row.get("documents") == row.get("with text", 0) + row.get("skipped", 0)
        if seen[name]:
            wall, processor = (statistics.median(times) for times in zip(*seen[name], strict=True))
            row |= {"seconds": round(wall, 2), "processor s": round(processor, 2)}
            tokens = told["omnibus"].get("tokens")
            row["tokens/s"] = round(tokens / wall) if tokens else None
            row["tokens/s of processor"] = round(tokens / processor) if tokens else None
        print(json.dumps(row), flush=True)
        rows.append(row)
    return rows


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", nargs="+", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, help="folder of the default model, for its tokenizer")
    parser.add_argument("--repomix", default="repomix")
    parser.add_argument("--gitingest", default="gitingest")
    parser.add_argument("--mixed", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--limit", type=float, default=1800, help="seconds")
    options = parser.parse_args()
    if options.mixed:
        mixed(options.mixed)
    programs = {
        "omnibus": [sys.executable, "-c", OURS, "{root}", str(options.model), "{out}"],
        "repomix": [options.repomix, "{root}", "-o", "{out}", "--style", "plain"],
        "gitingest": [options.gitingest, "{root}", "-o", "{out}"],
    }
    version = run([options.repomix, "--version"], ROOT)[0].strip()
    about = {
        "command": f"python -m tests.benchmarks.peers --trees FOLDER… --model FOLDER --rounds {options.rounds}",
        **host(),
        "repomix": version,
    }
    rows: list[dict[str, Any]] = []
    for root in options.trees:
        rows += measure(root.resolve(), programs, options.rounds, options.limit)
        if options.out:
            kept = json.loads(options.out.read_text()) if options.out.exists() else {}
            kept["peers"] = {**about, "rows": rows}
            options.out.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
