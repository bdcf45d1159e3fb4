"""Synthetic heads with the structures that real ones show: what speed is measured on where no model's own are at hand.

Four kinds of KV heads by turns: local (nearby keys), vertical (a few keys that everyone reads), topical (stretches of
text that return to a topic read each other), and a mixture; the query heads of a group weigh these differently. Values
and the rest of q and k are normal noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

TOPICS = 48


def structured_heads(
    tokens: int,
    *,
    heads: int = 32,
    kv_heads: int = 8,
    dim: int = 128,
    seed: int = 0,
    device: str | torch.device = "cuda",
    dtype: torch.dtype = torch.bfloat16,
) -> tuple[Tensor, Tensor, Tensor]:
    """q [1, H, T, D], k and v [1, Hkv, T, D]."""
    generator = torch.Generator(device).manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=device, dtype=torch.float32)

    position = torch.arange(tokens, device=device)
    lengths = torch.randint(128, 1536, (tokens // 128 + 1,), generator=generator, device=device).cumsum(0)
    stretch = torch.searchsorted(lengths, position)
    topic = torch.randint(0, TOPICS, (tokens // 128 + 2,), generator=generator, device=device)[stretch]
    topics = torch.nn.functional.normalize(noise(TOPICS, dim), dim=-1)
    heavy = torch.randint(0, tokens, (max(tokens // 2048, 8),), generator=generator, device=device)
    # random Fourier features: their product falls off with the distance, over a few hundred tokens
    frequency = noise(dim // 2) / 200
    angle = position.unsqueeze(-1) * frequency
    near = torch.cat([angle.cos(), angle.sin()], -1) / (dim / 2) ** 0.5
    read = torch.nn.functional.normalize(noise(dim), dim=-1)
    k = torch.empty(1, kv_heads, tokens, dim, device=device, dtype=dtype)
    v = torch.empty_like(k)
    q = torch.empty(1, heads, tokens, dim, device=device, dtype=dtype)
    strength = dim**0.25
    for g in range(kv_heads):
        kind = g % 4
        weight = torch.tensor([(12, 4, 0), (6, 12, 2), (5, 4, 12), (9, 9, 9)][kind], device=device)
        keys = noise(tokens, dim) * 0.5
        keys += strength * (near + topics[topic])
        keys[heavy] += strength * read
        k[0, g] = keys
        v[0, g] = noise(tokens, dim)
        for h in range(heads // kv_heads):
            own = weight * (0.8 + 0.15 * h)
            queries = noise(tokens, dim) * 0.5
            queries += strength * (own[0] * near + own[1] * read + own[2] * topics[topic])
            q[0, g * (heads // kv_heads) + h] = queries
    return q, k, v
