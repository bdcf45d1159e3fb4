"""FusedLayer: a transformers decoder layer of the Llama kind in few, large steps.

The same weights and the same result; queries, keys and values come from one matrix product, gate and up projection from
another, residuals are added by the product before them, and norm, rotation and gate are one pass each. A layer of
another make, or one whose output differs, stays as it is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engine.prefill.attention import attention
from kernels import rms_norm, rotate, swiglu

TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Relative distance from the layer it replaces; rounding at other places gives a fifth of it."""
PROOF_TOKENS = 16


class FusedLayer(nn.Module):
    """One decoder layer; takes what transformers' own takes and returns the hidden states [B, T, hidden]."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        attn, mlp = layer.self_attn, layer.mlp
        self.layer_idx: int = attn.layer_idx
        self.head_dim: int = attn.head_dim
        self.scaling: float = attn.scaling
        self.rotary: bool = bool(getattr(attn, "use_rope", True))
        self.heads = attn.q_proj.out_features // self.head_dim
        self.kv_heads = attn.k_proj.out_features // self.head_dim
        self.qkv = _joined(attn.q_proj, attn.k_proj, attn.v_proj)
        self.out, self.down = attn.o_proj, mlp.down_proj
        self.gate_up = _joined(mlp.gate_proj, mlp.up_proj)
        self.before_attention, self.before_mlp = layer.input_layernorm, layer.post_attention_layernorm
        self.q_norm, self.k_norm = getattr(attn, "q_norm", None), getattr(attn, "k_norm", None)

    def forward(
        self,
        hidden: Tensor,
        *,
        position_embeddings: tuple[Tensor, Tensor],
        past_key_values: Any,
        **kwargs: Any,
    ) -> Tensor:
        """Run the layer over hidden [B, T, hidden] behind what the cache holds."""
        batch, tokens, _ = hidden.shape
        row = self.qkv(_norm(self.before_attention, hidden)).view(batch, tokens, -1, self.head_dim)
        both = self.heads + self.kv_heads
        q, k, v = row[:, :, : self.heads], row[:, :, self.heads : both], row[:, :, both:]
        if self.q_norm is not None:
            q.copy_(_norm(self.q_norm, q))
            k.copy_(_norm(self.k_norm, k))
        if self.rotary:
            rotate(row[:, :, :both], *position_embeddings)
        k, v = k.transpose(1, 2), v.transpose(1, 2)
        if past_key_values is not None:
            k, v = past_key_values.update(k, v, self.layer_idx)
        mixed, _ = attention(self, q.transpose(1, 2), k, v, None, self.scaling)
        hidden = _add(hidden, self.out, mixed.reshape(batch, tokens, -1))
        return _add(hidden, self.down, swiglu(self.gate_up(_norm(self.before_mlp, hidden))))


@torch.no_grad()
def fuse(decoder: Any) -> int:
    """Replace every layer of a transformers decoder that can be fused; how many were."""
    replaced = 0
    for i, layer in enumerate(decoder.layers):
        if not _fusible(layer):
            continue
        fused = FusedLayer(layer)
        if not _agree(layer, fused, decoder):
            return replaced
        decoder.layers[i] = fused
        _release(layer)
        replaced += 1
    return replaced


def _fusible(layer: Any) -> bool:
    """Whether it has exactly the parts that FusedLayer runs."""
    attn, mlp = getattr(layer, "self_attn", None), getattr(layer, "mlp", None)
    linears = [getattr(attn, f"{x}_proj", None) for x in "qkvo"]
    linears += [getattr(mlp, f"{x}_proj", None) for x in ("gate", "up", "down")]
    norms = [getattr(layer, name, None) for name in ("input_layernorm", "post_attention_layernorm")]
    extra = [getattr(attn, name, None) for name in ("q_norm", "k_norm")]
    known = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
    return (
        all(type(part) is nn.Linear for part in linears)
        and all(hasattr(norm, "variance_epsilon") for norm in norms)
        and {name for name, _ in layer.named_children()} <= known
        and all(
            n is None or (hasattr(n, "variance_epsilon") and len(n.weight) == getattr(attn, "head_dim", 0))
            for n in extra
        )
        and type(getattr(mlp, "act_fn", None)).__name__ in ("SiLU", "SiLUActivation")
        and getattr(attn, "sliding_window", None) is None
    )


def _agree(layer: Any, fused: FusedLayer, decoder: Any) -> bool:
    """Whether both give the same on random hidden states; one layer vouches for its own parts only."""
    weight = fused.out.weight
    generator = torch.Generator().manual_seed(fused.layer_idx)
    hidden = torch.randn(1, PROOF_TOKENS, weight.shape[0], generator=generator).to(weight.device, weight.dtype)
    positions = torch.arange(PROOF_TOKENS, device=weight.device)[None]
    rotary = decoder.rotary_emb(hidden, position_ids=positions)
    arguments = {"attention_mask": None, "position_ids": positions, "past_key_values": None}
    want = layer(hidden, position_embeddings=rotary, **arguments)
    want = want[0] if isinstance(want, tuple) else want
    got = fused(hidden, position_embeddings=rotary, past_key_values=None)
    distance = (got - hidden - (want - hidden)).float().norm() / (want - hidden).float().norm().clamp_min(1e-9)
    return bool(distance <= TOLERANCE[weight.dtype])


def _joined(*linears: Any) -> nn.Linear:
    """One Linear with the outputs of several; theirs become views of it, so that no weight is there twice."""
    first = linears[0]
    rows = [part.out_features for part in linears]
    bias = first.bias is not None
    with torch.device("meta"):
        made = nn.Linear(first.in_features, sum(rows), bias=bias)
    made.weight = nn.Parameter(torch.cat([part.weight for part in linears]), requires_grad=False)
    if bias:
        made.bias = nn.Parameter(torch.cat([part.bias for part in linears]), requires_grad=False)
    for part, weight in zip(linears, torch.split(made.weight, rows), strict=True):
        part.weight = nn.Parameter(weight, requires_grad=False)
    return made


def _release(layer: Any) -> None:
    """Drop what the fused layer does not use of the old one."""
    for name, _ in list(layer.named_children()):
        delattr(layer, name)


def _norm(norm: Any, x: Tensor) -> Tensor:
    return rms_norm(x, norm.weight, norm.variance_epsilon)


def _add(hidden: Tensor, linear: nn.Linear, x: Tensor) -> Tensor:
    """hidden + linear(x); on a GPU the product itself adds."""
    bias: Tensor | None = linear.bias
    if bias is not None or hidden.device.type == "cpu":
        added: Tensor = linear(x)
        return added.add_(hidden)
    rows = torch.addmm(hidden.view(-1, hidden.shape[-1]), x.view(-1, x.shape[-1]), linear.weight.t())
    return rows.view(hidden.shape)
