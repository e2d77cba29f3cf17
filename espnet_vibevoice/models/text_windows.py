"""Text in windows, whole or as it arrives."""

from collections.abc import Iterable

import torch
from torch import Tensor


class TextWindows:
    """A text in windows; its tokens may arrive while speech is being made.

    Args:
        parts (Iterable[Tensor]): Token ids in parts of any length, int64 (T,). It is
            asked for no more than the next frame needs.
        window (int): Tokens per window.
        vocab_size (int): Ids must be below.

    Attributes:
        num_seen (int): Tokens that have arrived.
        num_read (int): Tokens given out.
    """

    def __init__(self, parts: Iterable[Tensor], window: int, vocab_size: int):
        self.window = window
        self.vocab_size = vocab_size
        self.num_seen = 0
        self.num_read = 0
        self._parts = iter(parts)
        self._waiting = torch.zeros(0, dtype=torch.long)

    def wait_for_more(self) -> bool:
        """Wait for the next part.

        Returns:
            bool: False if the text has ended.

        Raises:
            ValueError: If the part is not (T,) or holds an id outside the vocabulary.
        """
        part = next(self._parts, None)
        if part is None:
            return False
        if part.dim() != 1 or part.is_floating_point():
            raise ValueError(
                f"text_ids: got shape {tuple(part.shape)} of {part.dtype}, wanted "
                "(T_text,) of integers, at least one token. Give one text at a time."
            )
        outside = part[(part < 0) | (part >= self.vocab_size)].tolist()
        if outside:
            raise ValueError(
                f"text_ids: got {outside[:10]}, the base knows 0 to "
                f"{self.vocab_size - 1}. Encode the text with the base's tokenizer."
            )
        self.num_seen += len(part)
        self._waiting = torch.cat([self._waiting, part.cpu()])
        return True

    def take(self) -> Tensor:
        """Take the next window: shorter at the end of the text, then empty (T,)."""
        while len(self._waiting) < self.window and self.wait_for_more():
            pass
        taken = self._waiting[: self.window]
        self._waiting = self._waiting[self.window :]
        self.num_read += len(taken)
        return taken
