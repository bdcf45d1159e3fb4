"""BlockIndex: which keys each block of queries attends to, the only thing a sparse policy hands to a kernel.

Layout (B = 1 or the batch, G = 1, the KV heads or the query heads, R = ceil(q_len / q_block) query blocks):

    offsets  int32 [B, G, R]   where the row's list begins in `blocks`
    counts   int32 [B, G, R]   how many key blocks the row has
    shifts   int32 [B, G, R]   added to every key start of the row
    blocks   int32 [N]         first keys of blocks; a row's list is strictly ascending, gaps >= k_block
    columns  int32 [B, G, C]   single keys that every later query sees, ascending (C may be 0)
    column_counts int32 [B, G] how many of the C are used

Query block r of group g in sequence b attends, for i < counts[b, g, r], to the k_block keys from
`blocks[offsets[b, g, r] + i] + shifts[b, g, r]`, and to the single keys `columns[b, g, :column_counts[b, g]]`
that no block of that row covers. Keys below 0 or behind the query (bottom-right causal) never count, so a block
may stick out on either side. Key starts are token positions and need no alignment; `alignment` is a number that
is known to divide all of them (the 8-bit kernels load faster where it is a multiple of 16).

Lists may be shared: dense rows are prefixes of one list, and the rows of a slash pattern are one list of
*relative* starts per head, moved by `shifts`; so an index is small however long the prompt is. Query head h reads
group h * G // H. All tensors live on one device, and nothing here makes the host wait for the device except
`density`, `validate` and `to_mask`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kernels.errors import ArgumentError

BLOCK = 128
"""Default edge of a block, in queries and in keys."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockIndex:
    """Sorted key blocks per query block plus single key columns per head; see the module's text for the layout."""

    q_len: int
    kv_len: int
    q_block: int
    k_block: int
    offsets: Tensor
    counts: Tensor
    shifts: Tensor
    blocks: Tensor
    columns: Tensor
    column_counts: Tensor
    alignment: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.q_len <= self.kv_len:
            raise ArgumentError("q_len", f"{self.q_len} with kv_len {self.kv_len}", "0 <= q_len <= kv_len")
        for name in ("q_block", "k_block"):
            size = getattr(self, name)
            if size < 16 or size & (size - 1):
                raise ArgumentError(name, str(size), "a power of two of at least 16")
        rows = -(-self.q_len // self.q_block)
        shape = tuple(self.offsets.shape)
        if len(shape) != 3 or shape[2] != rows:
            raise ArgumentError(
                "offsets", f"of shape {list(shape)}", f"[batch, groups, {rows}] for {self.q_len} queries"
            )
        for name, want in (("counts", shape), ("shifts", shape), ("column_counts", shape[:2])):
            if tuple(getattr(self, name).shape) != want:
                raise ArgumentError(name, f"of shape {list(getattr(self, name).shape)}", f"{list(want)}, as offsets")
        if self.columns.dim() != 3 or tuple(self.columns.shape[:2]) != shape[:2]:
            raise ArgumentError("columns", f"of shape {list(self.columns.shape)}", f"{[*shape[:2], 'C']}")
        for name in ("offsets", "counts", "shifts", "blocks", "columns", "column_counts"):
            tensor = getattr(self, name)
            if tensor.dtype != torch.int32 or tensor.device != self.offsets.device or not tensor.is_contiguous():
                got = f"{tensor.dtype} on {tensor.device}, contiguous={tensor.is_contiguous()}"
                raise ArgumentError(name, got, f"contiguous int32 on {self.offsets.device}")

    @property
    def batch(self) -> int:
        """Sequences described: 1 stands for every sequence of a batch."""
        return self.offsets.shape[0]

    @property
    def groups(self) -> int:
        """Heads described: 1, the KV heads or the query heads."""
        return self.offsets.shape[1]

    @property
    def rows(self) -> int:
        """Query blocks."""
        return self.offsets.shape[2]

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.offsets.device

    def before(self, keys: int) -> BlockIndex:
        """The same without what reaches beyond the first `keys` keys; a block that does so in part is left out too."""
        least, most = torch.zeros_like(self.counts), self.counts.clone()
        for _ in range(int(self.kv_len // self.k_block + 1).bit_length()):  # how many of each row's starts fit
            middle = (least + most) // 2
            place = (self.offsets + middle).clamp_max(max(self.blocks.numel() - 1, 0)).long()
            start = self.blocks[place] + self.shifts if self.blocks.numel() else middle
            fits = (middle < most) & (start + self.k_block <= keys)
            least, most = torch.where(fits, middle + 1, least), torch.where(fits, most, middle)
        used = torch.arange(self.columns.shape[-1], device=self.device) < self.column_counts.unsqueeze(-1)
        columns = ((self.columns < keys) & used).sum(-1, dtype=torch.int32)
        return replace(self, counts=least, column_counts=columns)

    @property
    def nbytes(self) -> int:
        """Memory of the index."""
        tensors = (self.offsets, self.counts, self.shifts, self.blocks, self.columns, self.column_counts)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def row(self, batch: int, group: int, row: int) -> list[int]:
        """Key starts of one row, as the kernels read them (for tests and debugging)."""
        start, count = int(self.offsets[batch, group, row]), int(self.counts[batch, group, row])
        return (self.blocks[start : start + count] + self.shifts[batch, group, row]).tolist()

    # -- constructors ---------------------------------------------------------------------------------------------

    @classmethod
    def from_lists(
        cls,
        blocks: Tensor,
        counts: Tensor,
        *,
        q_len: int,
        kv_len: int,
        q_block: int = BLOCK,
        k_block: int = BLOCK,
        columns: Tensor | None = None,
        column_counts: Tensor | None = None,
        rows_per_list: int = 1,
        alignment: int = 1,
    ) -> BlockIndex:
        """An index from padded lists: `blocks` [B, G, L, capacity] of key starts (tokens), `counts` [B, G, L].

        Each list serves `rows_per_list` rows of queries, one after another.
        """
        if blocks.dim() != 4 or tuple(blocks.shape[:3]) != tuple(counts.shape):
            got = f"of shape {list(blocks.shape)} with counts {list(counts.shape)}"
            raise ArgumentError("blocks", got, "[batch, groups, rows, capacity] with counts [batch, groups, rows]")
        offsets = (torch.arange(counts.numel(), device=blocks.device) * blocks.shape[3]).view(counts.shape)
        if rows_per_list > 1:
            rows = -(-q_len // q_block)
            offsets, counts = (x.repeat_interleave(rows_per_list, 2)[:, :, :rows] for x in (offsets, counts))
        return cls._of(
            q_len,
            kv_len,
            q_block,
            k_block,
            offsets,
            counts,
            blocks,
            columns,
            column_counts,
            alignment=alignment,
        )

    @classmethod
    def dense(
        cls,
        q_len: int,
        kv_len: int | None = None,
        *,
        q_block: int = BLOCK,
        k_block: int = BLOCK,
        device: torch.device | str = "cpu",
    ) -> BlockIndex:
        """Every key that causality allows."""
        kv_len = q_len if kv_len is None else kv_len
        last = _last_position(q_len, kv_len, q_block, device)
        blocks = torch.arange(0, max(kv_len, 1), k_block, device=device, dtype=torch.int32)
        counts = (last // k_block + 1).view(1, 1, -1)
        return cls._of(q_len, kv_len, q_block, k_block, torch.zeros_like(counts), counts, blocks, alignment=k_block)

    @classmethod
    def streaming(
        cls,
        q_len: int,
        kv_len: int | None = None,
        *,
        sink: int,
        window: int,
        q_block: int = BLOCK,
        k_block: int = BLOCK,
        device: torch.device | str = "cpu",
    ) -> BlockIndex:
        """The first `sink` keys and, for each query, at least the last `window` keys (A-shape)."""
        diagonals = torch.arange(max(window, 1), device=device, dtype=torch.int32).view(1, 1, -1)
        columns = torch.arange(min(sink, kv_len or q_len), device=device, dtype=torch.int32).view(1, 1, -1)
        return cls.vertical_slash(columns, diagonals, q_len=q_len, kv_len=kv_len, q_block=q_block, k_block=k_block)

    @classmethod
    def vertical_slash(
        cls,
        columns: Tensor,
        diagonals: Tensor,
        *,
        q_len: int,
        kv_len: int | None = None,
        q_block: int = BLOCK,
        k_block: int = BLOCK,
        column_counts: Tensor | None = None,
        diagonal_counts: Tensor | None = None,
    ) -> BlockIndex:
        """Vertical lines and diagonals (MInference's pattern, arXiv 2407.02490 §3).

        `columns` [B, G, C]: key positions. `diagonals` [B, G, S]: distances query - key >= 0. In any order, without
        repeats; only the first `column_counts` / `diagonal_counts` [B, G] of each are used where given. The key
        blocks of a row are the fewest unaligned ones that cover its diagonals; they are the same for every row of a
        head but for the shift, so they are stored once per head.
        """
        from kernels.cover import cover_diagonals

        kv_len = q_len if kv_len is None else kv_len
        for name, tensor in (("columns", columns), ("diagonals", diagonals)):
            if tensor.dim() != 3:
                raise ArgumentError(name, f"of shape {list(tensor.shape)}", "[batch, groups, number]")
        columns, column_counts = _ascending(columns, column_counts, fill=kv_len)
        starts, used = cover_diagonals(diagonals, diagonal_counts, q_block=q_block, k_block=k_block)
        # starts [B, G, S'] ascending relative to a row's first query; unused places hold a huge value
        first = _first_position(q_len, kv_len, q_block, starts.device)  # [R]
        batch, groups, capacity = starts.shape
        # the first block of a row that reaches key 0
        begin = torch.searchsorted(starts, (1 - k_block - first).expand(batch, groups, -1).contiguous(), out_int32=True)
        counts = (used.unsqueeze(-1) - begin).clamp_min(0)
        base = torch.arange(batch * groups, device=starts.device, dtype=torch.int32).view(batch, groups, 1) * capacity
        shifts = first.expand(batch, groups, -1)
        return cls._of(
            q_len,
            kv_len,
            q_block,
            k_block,
            base + begin,
            counts,
            starts,
            columns,
            column_counts,
            shifts=shifts,
        )

    @classmethod
    def from_mask(
        cls,
        mask: Tensor,
        *,
        q_len: int,
        kv_len: int,
        q_block: int = BLOCK,
        k_block: int = BLOCK,
        columns: Tensor | None = None,
        column_counts: Tensor | None = None,
    ) -> BlockIndex:
        """An index from a boolean mask over aligned blocks, [B, G, ceil(q_len/q_block), ceil(kv_len/k_block)].

        Blocks wholly behind the causal boundary are dropped. The lists are stored compactly (waits for the device).
        """
        want = (-(-q_len // q_block), -(-kv_len // k_block))
        if mask.dim() != 4 or tuple(mask.shape[2:]) != want or mask.dtype != torch.bool:
            raise ArgumentError(
                "mask", f"{mask.dtype} of shape {list(mask.shape)}", f"bool [batch, groups, *{list(want)}]"
            )
        last = _last_position(q_len, kv_len, q_block, mask.device)
        starts = torch.arange(mask.shape[3], device=mask.device, dtype=torch.int32) * k_block
        mask = mask & (starts <= last.unsqueeze(-1))
        counts = mask.sum(-1, dtype=torch.int32)
        offsets = (counts.flatten().cumsum(0, dtype=torch.int32) - counts.flatten()).view(counts.shape)
        blocks = starts.expand(mask.shape)[mask]
        return cls._of(
            q_len,
            kv_len,
            q_block,
            k_block,
            offsets,
            counts,
            blocks,
            columns,
            column_counts,
            alignment=k_block,
        )

    @classmethod
    def _of(
        cls,
        q_len: int,
        kv_len: int,
        q_block: int,
        k_block: int,
        offsets: Tensor,
        counts: Tensor,
        blocks: Tensor,
        columns: Tensor | None = None,
        column_counts: Tensor | None = None,
        shifts: Tensor | None = None,
        alignment: int = 1,
    ) -> BlockIndex:
        """Fills in what is absent and brings every tensor to contiguous int32."""
        head = counts.shape[:2]
        if columns is None:
            columns = counts.new_empty((*head, 0))
        if column_counts is None:
            column_counts = counts.new_full(head, columns.shape[-1])
        if shifts is None:
            shifts = torch.zeros_like(counts)
        heads = (max(head[0], columns.shape[0]), max(head[1], columns.shape[1]))
        tensors = (
            offsets.expand(*heads, -1),
            counts.expand(*heads, -1),
            shifts.expand(*heads, -1),
            blocks.reshape(-1),
            columns.expand(*heads, -1),
            column_counts.expand(heads),
        )
        a, b, c, d, e, f = (tensor.to(torch.int32).contiguous() for tensor in tensors)
        return cls(q_len, kv_len, q_block, k_block, a, b, c, d, e, f, alignment)

    # -- for tests and statistics: these wait for the device ---------------------------------------------------------

    def to_mask(self, *, causal: bool = True) -> Tensor:
        """The attended (query, key) pairs, bool [B, G, q_len, kv_len], with or without causality applied."""
        mask = torch.zeros(self.batch, self.groups, self.rows, self.kv_len, dtype=torch.bool, device=self.device)
        for b in range(self.batch):
            for g in range(self.groups):
                mask[b, g, :, self.columns[b, g, : int(self.column_counts[b, g])].long()] = True
                for r in range(self.rows):
                    for start in self.row(b, g, r):
                        mask[b, g, r, max(start, 0) : max(start + self.k_block, 0)] = True
        mask = mask.repeat_interleave(self.q_block, dim=2)[:, :, : self.q_len]
        if not causal:
            return mask
        query = torch.arange(self.q_len, device=self.device).unsqueeze(-1) + self.kv_len - self.q_len
        return mask & (torch.arange(self.kv_len, device=self.device) <= query)

    def density(self) -> float:
        """Share of the causal (query, key) pairs that is attended: a float in [0, 1]. Waits for the device."""
        from kernels.density import attended_pairs

        total = self.q_len * (self.kv_len - self.q_len) + self.q_len * (self.q_len + 1) // 2
        return attended_pairs(self) / (total * self.batch * self.groups) if total else 0.0

    def validate(self) -> None:
        """Checks what the kernels take for granted: sorted, disjoint lists inside their buffers. Waits."""
        if self.counts.numel() == 0:
            return
        if int(self.counts.min()) < 0 or int(self.offsets.min()) < 0:
            raise ArgumentError("counts/offsets", "negative somewhere", "at least 0")
        if int(torch.where(self.counts > 0, self.offsets + self.counts, 0).max()) > self.blocks.numel():
            raise ArgumentError("offsets + counts", f"past the {self.blocks.numel()} blocks", "inside `blocks`")
        ends = torch.zeros(self.blocks.numel() + 1, dtype=torch.int32, device=self.device)
        used = self.counts.flatten() > 1
        ends.index_add_(0, self.offsets.flatten()[used].long(), torch.ones_like(self.counts.flatten()[used]))
        last = (self.offsets + self.counts - 1).flatten()[used].long()
        ends.index_add_(0, last, -torch.ones_like(self.counts.flatten()[used]))
        inside = (
            ends.cumsum(0)[: max(self.blocks.numel() - 1, 0)] > 0
        )  # places i with some row holding both i and i + 1
        if bool((inside & (self.blocks.diff() < self.k_block)).any()):
            raise ArgumentError(
                "blocks", "unsorted or overlapping in some row", f"ascending, at least {self.k_block} apart"
            )
        place = torch.arange(self.columns.shape[-1], device=self.device)
        live = place < self.column_counts.unsqueeze(-1)
        if bool((live & ((self.columns < 0) | (self.columns >= self.kv_len))).any()):
            raise ArgumentError("columns", "outside the keys", f"positions in [0, {self.kv_len})")
        if bool((live[..., 1:] & (self.columns.diff(dim=-1) <= 0)).any()):
            raise ArgumentError("columns", "unsorted or repeated", "strictly ascending positions")


def _first_position(q_len: int, kv_len: int, q_block: int, device: torch.device | str) -> Tensor:
    """Position of each query block's first query, int32 [R]."""
    return torch.arange(0, q_len, q_block, device=device, dtype=torch.int32) + (kv_len - q_len)


def _last_position(q_len: int, kv_len: int, q_block: int, device: torch.device | str) -> Tensor:
    """Position of each query block's last query, int32 [R]."""
    return (_first_position(q_len, kv_len, q_block, device) + (q_block - 1)).clamp_max(kv_len - 1)


def _ascending(values: Tensor, counts: Tensor | None, *, fill: int) -> tuple[Tensor, Tensor]:
    """Sorts the used values of each head to the front; unused places hold `fill`."""
    values = values.to(torch.int32)
    if counts is None:
        counts = values.new_full(values.shape[:2], values.shape[-1])
    else:
        unused = torch.arange(values.shape[-1], device=values.device) >= counts.unsqueeze(-1)
        values = values.masked_fill(unused, fill)
    return values.sort(dim=-1).values.contiguous(), counts.to(torch.int32).contiguous()
