"""Models, sparse policies, prefill, KV cache, session store, generation. Knows kernels, nothing above."""

import os

# OpenMP's threads spin for some milliseconds before they sleep. Where other programs want the cores too, they spin for
# a thread that is not running: an answer took minutes. 5,000 turns cost an idle machine 5 % of its decode rate
# (tests/benchmarks/NOTES.md). Read when torch is loaded, so it is said before; a person's own setting stands.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
