"""The README's one table: what a newcomer asks first, from the results; the details stand in data/results/README.md."""

from __future__ import annotations

from tests.benchmarks.results import Results

Cells = list[list[str]]
K, M = 1024, 1024 * 1024


def highlights(results: Results) -> Cells:
    """What, on which machine, Omnibus, what was measured beside it."""
    return [["", "on", "Omnibus", "beside it"], *_gpu(results), *_cpu(results), *_answers(results)]


def _gpu(results: Results) -> Cells:
    ours, other = (results.row("attention", case=case, tokens=128 * K)["tflops"] for case in ("dense", "dense, cuDNN"))
    whole = results.middle("prefill", "seconds", policy="blocks:density=0.03", tokens=M)
    step = results.row("decode", case="32 questions, shared prefix 128K")
    return [
        ["attention, every key of 128K", _device(results, "attention"), f"{ours:.0f} TFLOP/s", f"cuDNN {other:.0f}"],
        [
            "reading 1M tokens, shape of Llama 3.1 8B, 3 % of the blocks",
            _device(results, "prefill"),
            f"{whole['seconds']:.0f} s",
            "",
        ],
        [
            "a step of 32 answers behind one prefix of 128K, a layer",
            _device(results, "decode"),
            f"{step['ms']:.2f} ms",
            f"one by one {step['times']:.0f} times as long",
        ],
    ]


def _cpu(results: Results) -> Cells:
    read, answered = (results.row("cpu_engine", what=what) for what in ("prefill", "decode"))
    where = _device(results, "cpu_engine")
    restored = results.row("bench", what="restore", who="Omnibus")
    saving = results.all_of("batch")["saving"]

    def beside(row: dict[str, float], digits: int) -> str:
        return ", ".join(f"{name} {row[name]:.{digits}f}" for name in ("transformers", "llama.cpp"))

    return [
        [f"reading code, {_model(results)}", where, f"{read['omnibus']:.0f} tokens/s", beside(read, 0)],
        ["answering behind it", where, f"{answered['omnibus']:.1f} tokens/s", beside(answered, 1)],
        [
            "what was read, back from disk",
            _device(results, "bench"),
            f"{restored['rate']:,.0f} tokens/s",
            f"reading anew {restored['times']:.0f} times as long",
        ],
        [
            "a question of a batch",
            _device(results, "batch"),
            f"{saving['wall s a question, together']:.2f} s",
            f"one by one {saving['wall ratio']:.1f} times as long",
        ],
    ]


def _answers(results: Results) -> Cells:
    model = "smollm2-135m-reader"
    near, far = (results.row("reader", model=model, policy="dense", length=n) for n in (8 * K, 32 * K))
    auto = results.row("reader", policy="auto:minimum=1024", length=8 * K)
    base = results.row("reader", model="smollm2-135m", length=8 * K)
    sparse = f"{auto['right'][0]:.1f} % with {100 * auto['density']:.0f} % of the attention"
    return [
        [
            "200 questions over unseen manuals of 8K answered right, the default model",
            _device(results, "reader"),
            f"{near['right'][0]:.1f} %",
            f"{sparse}; its base {base['right'][0]:.1f} %",
        ],
        [
            "the same over 32K",
            _device(results, "reader"),
            f"{far['right'][0]:.1f} %",
            "",
        ],
    ]


def _device(results: Results, file: str) -> str:
    return str(results.about(file)["device"]).removeprefix("NVIDIA ").split(" HBM")[0]


def _model(results: Results) -> str:
    return str(results.about("cpu_engine")["model"])
