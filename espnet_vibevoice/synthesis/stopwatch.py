"""How fast speech is made, against its own length, and how soon the first of it."""

import logging
import time

from torch import Tensor

PROGRESS_SEC = 10.0
logger = logging.getLogger(__name__)


class Stopwatch:
    """Measures how fast speech is made, against its own length.

    Args:
        fs (int): Samples per second.

    Attributes:
        audio_sec (float): Speech made so far.
        first_audio_sec (float | None): When the first of it was there.
    """

    def __init__(self, fs: int):
        self._fs = fs
        self._start = self._told = time.perf_counter()
        self.audio_sec = 0.0
        self.first_audio_sec: float | None = None

    @property
    def elapsed_sec(self) -> float:
        """Time since the start."""
        return time.perf_counter() - self._start

    def add(self, waveform: Tensor) -> None:
        """Count speech that was made, and log a line from time to time."""
        if len(waveform) and self.first_audio_sec is None:
            self.first_audio_sec = self.elapsed_sec
        self.audio_sec += len(waveform) / self._fs
        now = time.perf_counter()
        if now - self._told >= PROGRESS_SEC:
            self._told = now
            logger.info("... %s", self.describe())

    def join(self, other: "Stopwatch") -> None:
        """Count what another watch has seen."""
        if self.first_audio_sec is None and other.first_audio_sec is not None:
            self.first_audio_sec = other._start + other.first_audio_sec - self._start
        self.audio_sec += other.audio_sec

    def describe(self) -> str:
        """Say how much was made, how fast, and how soon."""
        if self.first_audio_sec is None:
            return f"no speech in {self.elapsed_sec:.1f} s"
        factor = self.elapsed_sec / self.audio_sec
        return (
            f"{self.audio_sec:.2f} s of speech in {self.elapsed_sec:.2f} s, real-time "
            f"factor {factor:.3f}, first audio after {self.first_audio_sec:.3f} s"
        )
