"""Find the speech in an utterance: its own loud level decides what is silence.

The level of each 10 ms frame is its mean square in dB below full scale. The loud level
is what the loudest twentieth of the frames exceeds, so that neither a click nor a pause
moves it far. Frames within ``threshold_db`` of it are speech where at least three of
them follow each other; before the first and behind the last such place a margin is
kept, the rest is cut off. Pauses inside stay.
"""

from dataclasses import dataclass

import numpy as np

_FRAMES_PER_SEC = 100
_LOUD_QUANTILE = 0.95
_MIN_RUN_FRAMES = 3  # what is shorter is a click
_FLOOR_DBFS = -200.0


@dataclass(frozen=True)
class TrimOptions:
    """What counts as silence at the ends.

    Args:
        threshold_db (float): Frames that are more than this below the loud level.
        margin_sec (float): Silence that is kept at each end.
    """

    threshold_db: float = 40.0
    margin_sec: float = 0.1


def measure_levels(waveform: np.ndarray, fs: int) -> np.ndarray:
    """Measure the level of each frame; the last one may be shorter.

    Args:
        waveform (np.ndarray): (T_wav,), not empty.
        fs (int): Sampling rate in Hz.

    Returns:
        np.ndarray: Levels in dB below full scale (T_frames,), not below -200.
    """
    hop = _count_hop_samples(fs)
    begins = np.arange(0, len(waveform), hop)
    sums = np.add.reduceat(np.square(waveform, dtype=np.float64), begins)
    counts = np.diff(begins, append=len(waveform))
    return 10 * np.log10(np.maximum(sums / counts, 10 ** (_FLOOR_DBFS / 10)))


def find_loud_level(levels: np.ndarray) -> float:
    """Return the level in dB that a twentieth of the frames (T_frames,) exceeds."""
    return float(np.quantile(levels, _LOUD_QUANTILE, method="higher"))


def find_speech(levels: np.ndarray, fs: int, options: TrimOptions) -> tuple[int, int]:
    """Find what to keep.

    Args:
        levels (np.ndarray): Levels of the frames (T_frames,).
        fs (int): Sampling rate in Hz.
        options (TrimOptions): What counts as silence.

    Returns:
        tuple[int, int]: First sample, and the one behind the last; the latter may lie
            behind the end. All samples where no three loud frames follow each other.
    """
    is_loud = levels >= find_loud_level(levels) - options.threshold_db
    run = np.convolve(is_loud, np.ones(_MIN_RUN_FRAMES), mode="valid")
    starts = np.flatnonzero(run == _MIN_RUN_FRAMES)
    hop = _count_hop_samples(fs)
    if len(levels) < _MIN_RUN_FRAMES or not len(starts):
        return 0, len(levels) * hop
    margin = round(options.margin_sec * fs)
    begin = int(starts[0]) * hop - margin
    end = (int(starts[-1]) + _MIN_RUN_FRAMES) * hop + margin
    return max(begin, 0), end


def _count_hop_samples(fs: int) -> int:
    return max(1, fs // _FRAMES_PER_SEC)
