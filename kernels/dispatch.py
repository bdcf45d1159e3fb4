"""The operations; each runs where the backend of its tensors says (kernels.backend)."""

from __future__ import annotations

from torch import Tensor

from kernels.backend import module
from kernels.errors import ArgumentError
from kernels.index import BlockIndex
from kernels.pages import Pages


def dense_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float | None = None,
    causal: bool = True,
    q_lens: Tensor | None = None,
    kv_lens: Tensor | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Attention of q [B, H, Tq, D] over k, v [B, Hkv, Tk, D], bottom-right causal: (out like q, lse [B, H, Tq]).

    H is a multiple of Hkv (grouped query heads; K and V are never expanded). q_lens and kv_lens, int32 [B], give each
    sequence's own lengths, left aligned; behind them out is 0 and lse -inf. k and v may be float8_e4m3fn with
    k_scale, v_scale float32 [B, Hkv, 1 or blocks] (see kernels.fp8). lse is float32, natural log. Raises ArgumentError.
    """
    operation = module("dense_attention", q.device).dense_attention
    result: tuple[Tensor, Tensor] = operation(
        q, k, v, scale=scale, causal=causal, q_lens=q_lens, kv_lens=kv_lens, k_scale=k_scale, v_scale=v_scale
    )
    return result


def sparse_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    index: BlockIndex,
    *,
    scale: float | None = None,
    q_lens: Tensor | None = None,
    kv_lens: Tensor | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As dense_attention, causal, over the (query, key) pairs of `index` only."""
    operation = module("sparse_attention", q.device).sparse_attention
    result: tuple[Tensor, Tensor] = operation(
        q, k, v, index, scale=scale, q_lens=q_lens, kv_lens=kv_lens, k_scale=k_scale, v_scale=v_scale
    )
    return result


def decode_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float | None = None,
    causal: bool = True,
    kv_lens: Tensor | None = None,
    pages: Pages | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
    mass_block: int | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """As dense_attention for few queries over many keys: the keys are split among the processors, and then merged.

    With `pages` only the keys on these pages count, and k and v may lie in pinned host memory, read where they are.
    With `mass_block` the third result is each query's share of attention per block of so many keys, float32 [B, H, Tq,
    ceil(Tk / mass_block)], a power of two of at least 16; else it is None. q [B, H, Tq, D]; several prompts' queries
    over one shared prefix go in as Tq, causal=False.
    """
    operation = module("decode_attention", q.device).decode_attention
    result: tuple[Tensor, Tensor, Tensor | None] = operation(
        q, k, v, scale=scale, causal=causal, kv_lens=kv_lens, pages=pages, k_scale=k_scale, v_scale=v_scale,
        mass_block=mass_block,
    )  # fmt: skip
    return result


def last_query_scores(q: Tensor, k: Tensor, *, scale: float | None = None) -> tuple[Tensor, Tensor]:
    """How much attention the last queries q [B, H, L, D], L <= 128, pay to each key and to each distance.

    Returns (vertical, slash), float32 [B, H, Tk]: vertical[j] is the sum of their attention to key j, slash[o] of
    that to the key o places before each of them (arXiv 2407.02490, algorithm 2). k [B, Hkv, Tk, D]; linear in Tk.
    """
    result: tuple[Tensor, Tensor] = module("last_query_scores", q.device).last_query_scores(q, k, scale=scale)
    return result


def antidiagonal_scores(
    q: Tensor, k: Tensor, *, stride: int = 16, block: int = 128, scale: float | None = None
) -> Tensor:
    """Attention per (query block, key block), estimated from every stride-th antidiagonal (arXiv 2503.16428).

    q [B, H, Tq, D], k [B, Hkv, Tk, D] -> float32 [B, H, ceil(Tq / block), ceil(Tk / block)]; a row of a whole block
    sums to block / stride. Blocks of queries are counted from the first query, which stands at a multiple of `stride`.
    """
    result: Tensor = module("antidiagonal_scores", q.device).antidiagonal_scores(
        q, k, stride=stride, block=block, scale=scale
    )
    return result


def sampled_scores(
    q: Tensor, k: Tensor, positions: Tensor, *, block: int = 128, per: int = 1, scale: float | None = None
) -> tuple[Tensor, Tensor]:
    """The exact attention of sampled queries q [B, H, A, D] to each block of keys, and their lse.

    Query a stands at positions[a] (int32, ascending) of the keys k [B, Hkv, Tk, D] and sees those up to it. Returns
    (scores float32 [B, H, ceil(A / per), ceil(Tk / block)]: the shares of `per` successive queries added up; lse
    float32 [B, H, A]).
    """
    result: tuple[Tensor, Tensor] = module("sampled_scores", q.device).sampled_scores(
        q, k, positions, block=block, per=per, scale=scale
    )
    return result


def sampled_lse(q: Tensor, k: Tensor, positions: Tensor, *, scale: float | None = None) -> Tensor:
    """The log-sum-exp of the sampled queries' scores alone, float32 [B, H, A]; see sampled_scores."""
    result: Tensor = module("sampled_scores", q.device).sampled_lse(q, k, positions, scale=scale)
    return result


def column_scores(
    q: Tensor,
    k: Tensor,
    positions: Tensor,
    lse: Tensor,
    blocks: Tensor,
    *,
    block: int = 128,
    scale: float | None = None,
) -> Tensor:
    """The attention of all sampled queries together to each key of some blocks; see sampled_scores for the first four.

    blocks int32 [B, H, S]: numbers of blocks of `block` keys -> float32 [B, H, S * block]; keys that no query sees
    get 0, those of a block behind the last one too.
    """
    result: Tensor = module("column_scores", q.device).column_scores(
        q, k, positions, lse, blocks, block=block, scale=scale
    )
    return result


def column_shares(
    q: Tensor, k: Tensor, positions: Tensor, lse: Tensor, columns: Tensor, counts: Tensor, *, per: int = 1,
    scale: float | None = None,
) -> Tensor:  # fmt: skip
    """What each of some columns holds of the sampled queries' attention, float32 [B, H, ceil(A / per), C].

    columns int32 [B, H, C] are keys, of which the first counts int32 [B, H] are used; the others get 0. `per`
    successive queries are added up. See sampled_scores for the first four.
    """
    result: Tensor = module("column_shares", q.device).column_shares(
        q, k, positions, lse, columns, counts, per=per, scale=scale
    )
    return result


def choose_blocks(
    scores: Tensor, held: Tensor, columns: Tensor, column_counts: Tensor, aim: Tensor, *, q_len: int, kv_len: int,
    edge: int = 128, block: int = 128, neighbours: float = 0.0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The fewest blocks of keys that, with the columns, hold `aim` of each row's attention.

    scores float32 [B, H, rows, blocks] is the attention of `edge` queries to each block of keys (see sampled_scores),
    held [B, H, rows, C] what of it lies in the ascending columns [B, H, C], the first column_counts [B, H] of them;
    aim [B, H] is a share. The rows before and after count `neighbours` times. The first block and those of the row's
    own queries are always taken. Returns (starts int32 [B, H, rows, blocks] in tokens, ascending; how many [B, H,
    rows]); what stands behind them means nothing.
    """
    result: tuple[Tensor, Tensor] = module("choose_blocks", scores.device).choose_blocks(
        scores, held, columns, column_counts, aim, q_len=q_len, kv_len=kv_len, edge=edge, block=block,
        neighbours=neighbours,
    )  # fmt: skip
    return result


def select_keys(
    scores: Tensor,
    *,
    mass: Tensor | float | None = None,
    count: Tensor | int | None = None,
    forced: Tensor | None = None,
    allowed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Per row of scores [..., N], the fewest highest ones that hold the share `mass` of the row's sum, or `count` ones.

    `forced` (bool, broadcasts to scores) are taken first and count towards both; only the first `allowed` (int32,
    broadcasts to [...]) places of a row exist, and none with a negative score; a score of 0 is taken only by force.
    Scores as high as the lowest one taken are taken with it. Returns (places int32 [..., N] ascending, behind them N;
    how many int32 [...]). Nothing is sorted and the host does not wait: the lowest score is found by bisection.
    """
    result: tuple[Tensor, Tensor] = module("select_keys", scores.device).select_keys(
        scores, mass=mass, count=count, forced=forced, allowed=allowed
    )
    return result


def quantize_pages(x: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """x [B, Hkv, T, D] in e4m3; per page of `size` tokens a float32 scale [B, Hkv, P] and a mean [B, Hkv, P, D]."""
    if size < 16 or size & (size - 1):
        raise ArgumentError("size", str(size), "a power of two of at least 16")
    result: tuple[Tensor, Tensor, Tensor] = module("quantize_pages", x.device).quantize_pages(x, size)
    return result


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x [..., D] divided by its root mean square, times weight [D]; contiguous, computed in float32."""
    result: Tensor = module("rms_norm", x.device).rms_norm(x, weight, eps)
    return result


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Give x [B, T, H, D] its positions, in place: each half-split pair turned by cos, sin [B or 1, T, R], R <= D."""
    if cos.shape != sin.shape or cos.dim() != 3 or cos.shape[1] != x.shape[1] or cos.shape[2] > x.shape[3]:
        raise ArgumentError("cos", f"of shape {list(cos.shape)}", f"[{x.shape[0]} or 1, {x.shape[1]}, <= {x.shape[3]}]")
    module("rotary", x.device).rotate(x, cos, sin)


def swiglu(x: Tensor) -> Tensor:
    """silu(gate) * up of x [..., 2 * N], whose first half is the gate: [..., N]."""
    result: Tensor = module("swiglu", x.device).swiglu(x)
    return result
