"""What a command needs of a model: texts in, waveforms out."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from torch import Tensor

Prepared = TypeVar("Prepared")


class Speaker(ABC, Generic[Prepared]):
    """A model with its voices, ready to speak.

    Attributes:
        sampling_rate (int): Samples per second of what it makes.
    """

    sampling_rate: int

    @abstractmethod
    def prepare(self, text: str) -> list[Prepared]:
        """Check a text or script and make the pieces of it that are spoken one by one.

        Args:
            text (str): The text: plain, or turns ``Speaker N: ...``.

        Returns:
            list: The pieces, at least one.

        Raises:
            ValueError: If the text or its voices cannot be spoken.
        """

    @abstractmethod
    def speak(self, pieces: Sequence[Prepared], seeds: Sequence[int]) -> list[Tensor]:
        """Speak several pieces side by side.

        Args:
            pieces (Sequence): What `prepare` made.
            seeds (Sequence[int]): Seed of each.

        Returns:
            list[Tensor]: Waveform of each (T_wav,).
        """

    @abstractmethod
    def stream(self, piece: Prepared, seed: int) -> Iterator[Tensor]:
        """Speak one piece and hand out its audio while it is made.

        Args:
            piece: What `prepare` made.
            seed (int): Seed of the noise.

        Yields:
            Tensor: The next samples (T_chunk,).
        """
