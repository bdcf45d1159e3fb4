"""Models, sparse policies, prefill, KV cache, session store, generation. Knows kernels, nothing above."""
