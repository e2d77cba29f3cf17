"""What a language-model part has read so far: keys, values and the last hidden state.

A batch shares one cache. Its rows may have read unequally much: a mask tells which
cached positions of a row are real, the others change nothing, and a real position is
numbered by the real ones before it, as if its row were alone. While all is real there
is no mask, and the same kernels run as for one row.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import DynamicCache, Qwen2Model


@dataclass
class Reading:
    """What one part has read, for one row or a batch.

    Args:
        cache (DynamicCache): Keys and values.
        mask (Tensor | None): True for real positions of the cache (B, T); None if all
            are.
        hidden (Tensor | None): Hidden state of each row's last position (B, H); None
            if nothing was read, or it was not kept.
    """

    cache: DynamicCache = field(default_factory=DynamicCache)
    mask: Tensor | None = None
    hidden: Tensor | None = None

    def count_positions(self) -> list[int]:
        """Positions that each row has read; [0] before any."""
        if self.mask is not None:
            return self.mask.sum(1).tolist()
        batch = 1 if self.hidden is None else len(self.hidden)
        return [self.cache.get_seq_length()] * batch

    def feed(
        self, part: Qwen2Model, inputs: Tensor, new_mask: Tensor | None = None
    ) -> Tensor:
        """Read new positions.

        Args:
            part (Qwen2Model): The part.
            inputs (Tensor): Vectors of new positions (B, T, H).
            new_mask (Tensor | None): True for the real ones (B, T), which come first
                in each row that has read nothing yet; None if all are.

        Returns:
            Tensor: Hidden states, nothing of use where the mask is False (B, T, H).
        """
        positions = attended = None
        if self.mask is not None or new_mask is not None:
            real, new = self._list_masks(inputs, new_mask)
            positions = (real.sum(1, keepdim=True) + new.cumsum(1) - 1).clamp(min=0)
            # A row that reads nothing sees itself: no row of attention is empty.
            seen = new | ~new.any(1, keepdim=True)
            attended = torch.cat([real, seen], dim=1)
            self.mask = torch.cat([real, new], dim=1)
        states = part(
            inputs_embeds=inputs,
            attention_mask=attended,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        ).last_hidden_state
        self._keep_last(states, new_mask)
        return states

    def keep_rows(self, rows: Tensor) -> None:
        """Drop all rows but some.

        Args:
            rows (Tensor): Indices of those that stay, int64 (B_new,).
        """
        self.cache.batch_select_indices(rows)
        self.mask = None if self.mask is None else self.mask[rows]
        self.hidden = None if self.hidden is None else self.hidden[rows]

    def forget(self, rows: Tensor) -> None:
        """Forget what some rows have read, as if they had only begun.

        Args:
            rows (Tensor): True for those rows (B,).
        """
        if rows.all():
            self.cache, self.mask, self.hidden = DynamicCache(), None, None
            return
        if self.mask is None:
            size = (len(rows), self.cache.get_seq_length())
            self.mask = torch.ones(size, dtype=torch.bool, device=rows.device)
        self.mask = self.mask & ~rows[:, None]

    def _list_masks(
        self, inputs: Tensor, new_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Write out the masks of cached (B, T_old) and new positions (B, T)."""
        batch, num_new = inputs.shape[:2]
        options = {"dtype": torch.bool, "device": inputs.device}
        real, new = self.mask, new_mask
        if real is None:
            real = torch.ones(batch, self.cache.get_seq_length(), **options)
        if new is None:
            new = torch.ones(batch, num_new, **options)
        return real, new

    def _keep_last(self, states: Tensor, new_mask: Tensor | None) -> None:
        """Keep the hidden state of each row's last real position, if it has one."""
        if new_mask is None:
            self.hidden = states[:, -1]
            return
        numbers = torch.arange(states.shape[1], device=states.device) * new_mask
        last = numbers.argmax(1)[:, None, None].expand(-1, 1, states.shape[2])
        newest = states.gather(1, last)[:, 0]  # (B, T, H) -> (B, H)
        before = newest if self.hidden is None else self.hidden
        self.hidden = torch.where(new_mask.any(1, keepdim=True), newest, before)


def merge_readings(readings: list[Reading]) -> Reading:
    """Put rows into one batch; shorter caches are padded on the left.

    Args:
        readings (list[Reading]): Readings of one row each, at least one; they are not
            to be used afterwards.

    Returns:
        Reading: Reading of as many rows.
    """
    if len(readings) == 1:
        return readings[0]
    assert all(reading.mask is None for reading in readings)
    cache, mask = _merge_caches([reading.cache for reading in readings])
    known = [r.hidden for r in readings if r.hidden is not None]
    hidden = None
    if known:
        nothing = torch.zeros_like(known[0])
        hidden = torch.cat(
            [nothing if r.hidden is None else r.hidden for r in readings]
        )
    return Reading(cache, mask, hidden)


def _merge_caches(caches: list[DynamicCache]) -> tuple[DynamicCache, Tensor | None]:
    """Merge caches of one row each; also return the mask of real positions."""
    merged = DynamicCache()
    lengths = [cache.get_seq_length() for cache in caches]
    longest = max(lengths)
    if longest == 0:
        return merged, None
    fullest = caches[lengths.index(longest)]
    for index, layer in enumerate(fullest.layers):
        keys, values = [], []
        for cache, length in zip(caches, lengths, strict=True):
            own = cache.layers[index] if length else layer
            keys.append(_fit_length(own.keys, length, longest))
            values.append(_fit_length(own.values, length, longest))
        merged.update(torch.cat(keys), torch.cat(values), index)
    device = fullest.layers[0].keys.device
    if min(lengths) == longest:
        return merged, None
    padding = longest - torch.tensor(lengths, device=device)
    return merged, torch.arange(longest, device=device) >= padding[:, None]


def _fit_length(vectors: Tensor, length: int, longest: int) -> Tensor:
    """Keep ``length`` vectors of (1, heads, T, size) and pad with zeros on the left."""
    kept = vectors[:, :, vectors.shape[2] - length :]
    return torch.nn.functional.pad(kept, (0, 0, longest - length, 0))
